//! The XML of S3 and Google, as much as a stub says and hears of it.

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Keys, lengths and ETags.
    pub(super) objects: Vec<(String, usize, String)>,
    pub(super) folders: Vec<String>,
    /// The last name of the page, behind which the next one begins.
    pub(super) last: String,
    pub(super) truncated: bool,
}

impl Listing {
    pub(super) fn len(&self) -> usize {
        self.objects.len() + self.folders.len()
    }

    pub(super) fn to_xml(&self) -> String {
        let time = "2015-10-21T07:28:00.000Z";
        let objects = self.objects.iter().map(|(key, length, tag)| {
            let (key, tag) = (escaped(key), escaped(tag));
            format!(
                "<Contents><Key>{key}</Key><LastModified>{time}</LastModified><ETag>{tag}</ETag><Size>{length}</Size></Contents>"
            )
        });
        let folders = self
            .folders
            .iter()
            .map(|folder| format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(folder)));
        let next = match self.truncated {
            true => format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&self.last)),
            false => String::new(),
        };
        let entries: String = objects.chain(folders).collect();
        let truncated = self.truncated;
        document("ListBucketResult", &format!("<IsTruncated>{truncated}</IsTruncated>{next}{entries}"))
    }
}

pub(super) fn error(code: &str) -> String {
    document("Error", &format!("<Code>{code}</Code><Message>{code} said</Message>"))
}

pub(super) fn begun(upload: &str) -> String {
    document("InitiateMultipartUploadResult", &format!("<UploadId>{upload}</UploadId>"))
}

pub(super) fn completed(tag: &str) -> String {
    document("CompleteMultipartUploadResult", &format!("<ETag>{}</ETag>", escaped(tag)))
}

pub(super) fn deleted(keys: &[String]) -> String {
    let keys = keys.iter().map(|key| format!("<Deleted><Key>{}</Key></Deleted>", escaped(key)));
    document("DeleteResult", &keys.collect::<String>())
}

fn document(root: &str, content: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{root}>{content}</{root}>")
}

/// What stands in the elements of this name.
pub(super) fn values(text: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let inside = text.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
    inside.map(unescaped).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn unescaped(text: &str) -> String {
    let quotes = text.replace("&quot;", "\"").replace("&apos;", "'");
    quotes.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_be_heard() {
        let odd = "a<b>&\"c\"";
        assert_eq!(values(&document("X", &format!("<K>{}</K><K>2</K>", escaped(odd))), "K"), [odd, "2"]);
        assert_eq!(values("<X></X>", "K"), Vec::<String>::new());
    }
}
