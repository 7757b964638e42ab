//! What an owner of a MinIO asks of it that is no part of the SDK: credentials for some time, and who may read without any.

use std::time::Duration;

use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpConnector, HttpRequest, ReqwestConnector};
use strandline::Runtime;
use strandline_testkit::wire::Lent;

use crate::lake::{self, Place};

/// The shortest time that MinIO lends for.
const TIME: Duration = Duration::from_secs(900);
const REGION: &str = "us-east-1";

/// A place below that is empty.
pub(super) fn empty(place: &Place) -> Place {
    place.below(&format!("test-{}", Runtime::system().nonce().unwrap()))
}

/// The same place without credentials, and these.
pub(super) fn split(place: &Place) -> (Place, AwsCredential) {
    let mut own = AwsCredential { key_id: String::new(), secret_key: String::new(), token: None };
    let mut rest = Vec::new();
    for (name, value) in place.words() {
        match name {
            "access_key_id" => own.key_id = value.to_owned(),
            "secret_access_key" => own.secret_key = value.to_owned(),
            _ => rest.push(format!("{name}={value}")),
        }
    }
    (Place { location: place.location.clone(), options: rest.join(" ") }, own)
}

/// The same place with other credentials.
pub(super) fn with(place: &Place, lent: &Lent) -> Place {
    let (open, _) = split(place);
    let Lent { key, secret, token, .. } = lent;
    let options =
        format!("{} access_key_id={key} secret_access_key={secret} session_token={token}", open.options);
    Place { options, ..open }
}

/// Credentials for some time, which may do what the policy lets them, or all that the owner may.
pub(super) fn lend(place: &Place, policy: Option<&str>) -> Lent {
    let mut form = format!("Action=AssumeRole&Version=2011-06-15&DurationSeconds={}", TIME.as_secs());
    if let Some(policy) = policy {
        form += &format!("&Policy={}", encoded(policy));
    }
    let said = ask(place, "POST", "/", &form, "sts");
    let part = |name: &str| {
        let (_, rest) = said.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{said}"));
        rest.split('<').next().unwrap().to_owned()
    };
    Lent {
        key: part("AccessKeyId"),
        secret: part("SecretAccessKey"),
        token: part("SessionToken"),
        time: TIME,
    }
}

/// Gives the bucket a policy.
pub(super) fn set_policy(place: &Place, policy: &str) {
    let (bucket, _) = bucket(place);
    ask(place, "PUT", &format!("/{bucket}?policy="), policy, "s3");
}

/// The bucket, and the prefix of the place in it.
pub(super) fn bucket(place: &Place) -> (&str, &str) {
    place.location.strip_prefix("s3://").unwrap().split_once('/').unwrap()
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A request that the owner signs.
fn ask(place: &Place, method: &str, target: &str, body: &str, service: &str) -> String {
    let (_, own) = split(place);
    let (_, endpoint) = place.words().find(|(name, _)| *name == "endpoint").unwrap();
    let mut request = HttpRequest::new(body.to_owned().into());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = format!("{endpoint}{target}").parse().unwrap();
    let form = "application/x-www-form-urlencoded".parse().unwrap();
    request.headers_mut().insert("content-type", form);
    AwsAuthorizer::new(&own, service, REGION).authorize(&mut request, None);
    lake::run(async {
        let client =
            ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true)).unwrap();
        let response = client.execute(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.bytes().await.unwrap().to_vec()).unwrap();
        assert!(parts.status.is_success(), "{}: {text}", parts.status);
        text
    })
}
