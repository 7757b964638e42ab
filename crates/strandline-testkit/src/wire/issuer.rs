//! Where a machine gets credentials for some time: the token service for web identities, the metadata of an instance, and the
//! endpoint of a container, played on one port.
//!
//! Invariants: each answers only whoever shows what the real one asks for ([`IDENTITY`], a session of the metadata, or
//! [`CONTAINER`]), so that a test which gets in has shown it; what is handed out was made for it alone.

use std::io;
use std::time::Duration;

use strandline::Runtime;
use strandline_format::Timestamp;

use super::access::{Access, Rights};
use super::message::{HttpRequest, decoded};
use super::server::{HttpAnswer, HttpServer};
use super::tls::Authority;
use crate::shared::Shared;

/// What a web identity is shown by.
pub const IDENTITY: &str = "eyJhbGciOiJub25lIn0.IDENTITYofTHEpod.signed";
/// What a container shows.
pub const CONTAINER: &str = "Bearer CONTAINERauthorization";
/// The session of the metadata.
const SESSION: &str = "METADATAsession==";
/// What a machine's role is called.
const ROLE: &str = "writer";
const METADATA: &str = "/latest/meta-data";

/// Credentials for some time.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The access key.
    pub key: String,
    /// What is signed with.
    pub secret: String,
    /// The session token.
    pub token: String,
    /// How long they hold.
    pub time: Duration,
}

/// A server that lends credentials.
///
/// ```
/// use std::time::Duration;
/// use strandline_testkit::wire::{Access, Issuer, Rights};
/// let issuer = Issuer::start(&Access::new(), Rights::all(), Duration::from_secs(60))?;
/// assert!(issuer.lent().is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Issuer {
    server: HttpServer,
    lent: Shared<Vec<Lent>>,
}

impl Issuer {
    /// One that makes new keys of these rights for each who asks, which the stub lets in for so long.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start(access: &Access, rights: Rights, time: Duration) -> io::Result<Self> {
        Self::start_with(made_for(access, rights, time))
    }

    /// The same over TLS, with a certificate of this authority.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_tls(
        authority: &Authority,
        access: &Access,
        rights: Rights,
        time: Duration,
    ) -> io::Result<Self> {
        Self::over(made_for(access, rights, time), |answer| HttpServer::start_tls(authority, answer))
    }

    /// One that lends what somebody else has made: the number says how many were lent before.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start_with(make: impl Fn(usize) -> Lent + Send + Sync + 'static) -> io::Result<Self> {
        Self::over(make, HttpServer::start)
    }

    fn over(
        make: impl Fn(usize) -> Lent + Send + Sync + 'static,
        serve: impl FnOnce(Answering) -> io::Result<HttpServer>,
    ) -> io::Result<Self> {
        let lent: Shared<Vec<Lent>> = Shared::default();
        let handed_out = lent.clone();
        let lend = move || {
            handed_out.with(|lent| {
                lent.push(make(lent.len()));
                lent[lent.len() - 1].clone()
            })
        };
        let server = serve(Box::new(move |request| answer(request, &lend)))?;
        Ok(Self { server, lent })
    }

    /// Where it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What was lent so far.
    #[must_use]
    pub fn lent(&self) -> Vec<Lent> {
        self.lent.with(|lent| lent.clone())
    }

    /// What nobody may ever read in a log: all that was lent, and what it was got by.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let shown = [IDENTITY, CONTAINER, SESSION].map(str::to_owned);
        shown.into_iter().chain(self.lent().into_iter().flat_map(|lent| [lent.secret, lent.token])).collect()
    }
}

/// How an issuer comes to its answers.
type Answering = Box<dyn Fn(&HttpRequest) -> HttpAnswer + Send + Sync>;

/// New keys, which the stub lets in for so long.
fn made_for(
    access: &Access,
    rights: Rights,
    time: Duration,
) -> impl Fn(usize) -> Lent + Send + Sync + 'static {
    let access = access.clone();
    move |number| {
        let lent = Lent {
            key: format!("ASIALENT{number}"),
            secret: format!("lentSECRETnumber{number}/+key"),
            token: format!("lentTOKENnumber{number}//session=="),
            time,
        };
        access.lend(&lent.key, &lent.token, rights.clone(), time);
        lent
    }
}

fn answer(request: &HttpRequest, lend: &dyn Fn() -> Lent) -> HttpAnswer {
    match (request.method.as_str(), request.path()) {
        ("POST", "/") => web_identity(request, lend),
        ("PUT", "/latest/api/token") => match request.header("x-aws-ec2-metadata-token-ttl-seconds") {
            Some(_) => HttpAnswer::Say(
                200,
                vec!["x-aws-ec2-metadata-token-ttl-seconds: 600".to_owned()],
                SESSION.as_bytes().to_vec(),
            ),
            None => HttpAnswer::Say(400, Vec::new(), Vec::new()),
        },
        ("GET", path) if path.starts_with(METADATA) => {
            if request.header("x-aws-ec2-metadata-token") != Some(SESSION) {
                return HttpAnswer::Say(401, Vec::new(), Vec::new());
            }
            metadata(path.trim_start_matches(METADATA), lend)
        }
        ("GET", "/credentials") if request.header("authorization") == Some(CONTAINER) => json(&lend()),
        ("GET", "/credentials") => HttpAnswer::Say(403, Vec::new(), Vec::new()),
        _ => HttpAnswer::Say(404, Vec::new(), Vec::new()),
    }
}

/// What is asked stands in the query or in a form.
fn web_identity(request: &HttpRequest, lend: &dyn Fn() -> Lent) -> HttpAnswer {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let in_form = |name: &str| {
        let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| decoded(&value.replace('+', " ")))
    };
    let asked = |name: &str| request.parameter(name).or_else(|| in_form(name)).unwrap_or_default();
    if asked("Action") != "AssumeRoleWithWebIdentity" || asked("RoleArn").is_empty() {
        return refused("InvalidAction");
    }
    if asked("WebIdentityToken") != IDENTITY {
        return refused("InvalidIdentityToken");
    }
    let lent = lend();
    let Lent { key, secret, token, time } = &lent;
    let until = until(*time);
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
         <Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    );
    HttpAnswer::Say(200, vec!["Content-Type: text/xml".to_owned()], body.into_bytes())
}

fn refused(code: &str) -> HttpAnswer {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    HttpAnswer::Say(400, vec!["Content-Type: text/xml".to_owned()], body.into_bytes())
}

fn metadata(path: &str, lend: &dyn Fn() -> Lent) -> HttpAnswer {
    match path.trim_end_matches('/') {
        "/iam/security-credentials" => HttpAnswer::Say(200, Vec::new(), ROLE.as_bytes().to_vec()),
        path if path.strip_prefix("/iam/security-credentials/") == Some(ROLE) => json(&lend()),
        "/placement/region" => HttpAnswer::Say(200, Vec::new(), b"us-east-1".to_vec()),
        _ => HttpAnswer::Say(404, Vec::new(), Vec::new()),
    }
}

fn json(Lent { key, secret, token, time }: &Lent) -> HttpAnswer {
    let until = until(*time);
    let body = format!(
        "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"LastUpdated\":\"2026-01-01T00:00:00Z\",\"AccessKeyId\":\"{key}\",\
         \"SecretAccessKey\":\"{secret}\",\"Token\":\"{token}\",\"Expiration\":\"{until}\"}}"
    );
    HttpAnswer::Say(200, vec!["Content-Type: application/json".to_owned()], body.into_bytes())
}

fn until(time: Duration) -> Timestamp {
    let now = Runtime::system().now();
    let later = i64::try_from(time.as_micros()).unwrap_or(i64::MAX).saturating_add(now.as_micros());
    Timestamp::from_micros(later).unwrap_or(now)
}
