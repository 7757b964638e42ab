//! What any crate of a process logs while servers refuse, fail and repeat what they were sent.

use strandline_testkit::wire::{HttpAnswer, HttpServer};

use super::errand::{Errand, Work};
use crate::lake::Place;
use crate::runner::Outcome;
use crate::wire::{ACCESS_KEY, SECRET_KEY, TOKEN, echo_as_s3, signature};

pub(super) fn logs() -> Outcome {
    for status in [200, 403, 500] {
        let answer = move |request: &_| HttpAnswer::Say(status, Vec::new(), echo_as_s3(request).into_bytes());
        let server = HttpServer::start(answer).unwrap();
        let options = format!("endpoint={} allow_http=true region=us-east-1", server.url());
        let place = Place { location: "s3://bucket/lake".to_owned(), options };
        let told = Errand::new(&place, Work::Everything)
            .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .with("AWS_SESSION_TOKEN", TOKEN)
            .run();
        let signatures: Vec<String> = server.requests().iter().map(signature).collect();
        assert!(!signatures.is_empty());
        told.hides(signatures);
        told.hides([SECRET_KEY, TOKEN]);
        // Whoever says something of the connections is heard.
        assert!(told.logged_by("hyper") > 0 && told.logged_by("reqwest") > 0, "{}", told.outcome());
    }
    Outcome::Passed
}
