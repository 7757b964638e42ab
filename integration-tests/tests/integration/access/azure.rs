//! Containers at Azure, as Azurite plays it: a wrong key, a signature that only lets read, a public container, and a certificate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use object_store::ClientOptions;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpConnector, HttpRequest, ReqwestConnector};
use object_store::path::Path;
use strandline::Runtime;
use strandline_testkit::wire::{Authority, Proxy};

use super::errand::{Errand, Work};
use super::{admin, tls};
use crate::lake::{self, Place};
use crate::runner::Outcome;
use crate::{servers, tables};

/// The form of shared access signatures that is used here.
const SAS_VERSION: &str = "2018-11-09";

/// Who a place belongs to, by its options.
struct Owner {
    account: String,
    key: String,
    endpoint: String,
}

impl Owner {
    fn of(place: &Place) -> Self {
        let option = |wanted: &str| place.words().find(|(name, _)| *name == wanted).unwrap().1.to_owned();
        let (account, key) = (option("account_name"), option("account_key"));
        Self { account, key, endpoint: option("azure_storage_endpoint") }
    }

    /// The options without the key.
    fn without_key(&self) -> String {
        format!("azure_storage_endpoint={} account_name={} allow_http=true", self.endpoint, self.account)
    }

    /// A signature of the account that lets do this, as the query of a URL.
    fn sas(&self, permissions: &str) -> String {
        let (services, types, expiry, protocols) = ("b", "co", "2100-01-01T00:00:00Z", "https,http");
        let account = &self.account;
        let text = format!(
            "{account}\n{permissions}\n{services}\n{types}\n\n{expiry}\n\n{protocols}\n{SAS_VERSION}\n"
        );
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64.decode(&self.key).unwrap());
        let signature = BASE64.encode(ring::hmac::sign(&key, text.as_bytes()));
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!(
            "sv={SAS_VERSION}&ss={services}&srt={types}&sp={permissions}&se={expiry}&spr={protocols}&sig={signature}"
        )
    }

    /// Makes a container whose blobs everybody may read.
    fn publish(&self, container: &str) {
        let mut request = HttpRequest::new(String::new().into());
        *request.method_mut() = "PUT".parse().unwrap();
        *request.uri_mut() = format!("{}/{container}?restype=container", self.endpoint).parse().unwrap();
        request.headers_mut().insert("content-length", "0".parse().unwrap());
        request.headers_mut().insert("x-ms-blob-public-access", "blob".parse().unwrap());
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(&self.key).unwrap());
        AzureAuthorizer::new(&credential, &self.account).authorize(&mut request);
        lake::run(async {
            let client =
                ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true)).unwrap();
            let status = client.execute(request).await.unwrap().status();
            assert!(status.is_success(), "{status}");
        });
    }
}

fn with_azurite(check: fn(&Place, &Owner)) -> Outcome {
    match servers::AZURITE.place() {
        Ok(place) => {
            let place = admin::empty(&place);
            check(&place, &Owner::of(&place));
            Outcome::Passed
        }
        Err(why) => Outcome::Skipped(why),
    }
}

fn prepare(place: &Place) {
    lake::run(async {
        let lake = tables::create_at(place, &["t"]).await;
        lake.append("t", tables::batch(&[(1, 1)])).await.unwrap();
    });
}

/// A key that is not the account's, and signatures that let read, write or nothing of it.
pub(super) fn keys() -> Outcome {
    with_azurite(|place, owner| {
        prepare(place);
        let errand = |options: &str, work| {
            let options = format!("{} {options}", owner.without_key());
            let told = Errand::new(&Place { options, ..place.clone() }, work).run();
            told.hides([&owner.key]);
            told
        };
        let wrong = BASE64.encode("not the key of the account");
        let denied = errand(&format!("account_key={wrong}"), Work::Read);
        denied.is_refused("permission denied", &place.location);
        denied.hides([&wrong]);
        let reader = owner.sas("r");
        let read = errand(&format!("sas_key={reader}"), Work::Read);
        read.is_done(1);
        let denied = errand(&format!("sas_key={reader}"), Work::Append);
        denied.is_refused("permission denied", &place.location);
        let signature = reader.rsplit_once("sig=").unwrap().1;
        read.hides([signature]);
        denied.hides([signature]);
        errand(&format!("sas_key={}", owner.sas("rwcd")), Work::Append).is_done(2);
        let forged = owner.sas("r").replace("sp=r&", "sp=rwcd&");
        errand(&format!("sas_key={forged}"), Work::Append).is_refused("permission denied", &place.location);
        errand("account_key=bm8=", Work::Append).is_refused("permission denied", &place.location);
    })
}

/// A container whose blobs everybody may read is read without a signature, and not written.
pub(super) fn public() -> Outcome {
    with_azurite(|place, owner| {
        let container = format!("public{}", Runtime::system().nonce().unwrap());
        owner.publish(&container);
        let open = Place { location: format!("az://{container}/here"), options: place.options.clone() };
        prepare(&open);
        let options = format!("{} azure_skip_signature=true", owner.without_key());
        let anybody = |work| Errand::new(&Place { options: options.clone(), ..open.clone() }, work).run();
        anybody(Work::Read).is_done(1);
        anybody(Work::Append).is_refused("permission denied", &open.location);
        anybody(Work::Read).is_done(1);
    })
}

/// Behind an end of TLS whose certificate only the option knows.
pub(super) fn certificate() -> Outcome {
    with_azurite(|place, owner| {
        let authority = Authority::new().unwrap();
        let (host, account) = owner.endpoint.rsplit_once('/').unwrap();
        let proxy = Proxy::start_tls(host, Path::from("lake"), &authority).unwrap();
        let options = place.options.replace(&owner.endpoint, &format!("{}/{account}", proxy.url()));
        tls::check(&Place { options, ..place.clone() }, &authority);
    })
}
