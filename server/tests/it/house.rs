//! A whole house of the test's own: every door, in this process, over a place that ends with it.
//!
//! Used by the stories about HTTP. A `Browser` is a client with cookies that says where it comes
//! from, as browsers do; it follows no redirect. The built pages are three empty files: what is
//! drawn on the server needs no more.

use std::path::Path;

use clap::Parser;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Response, StatusCode};
use server::config::{CommandLine, Settings};
use server::state::House;

use crate::site::make_site;
use crate::stores::Place;

/// A running house and its folder.
pub(crate) struct World {
    pub(crate) house: House,
    pub(crate) url: String,
    place: Place,
}

/// Somebody's browser.
pub(crate) struct Browser {
    client: Client,
    url: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// The settings of a house in this folder, with these flags of the command line.
pub(crate) fn settings(folder: &Path, flags: &[&str]) -> Settings {
    let (data, site) = (folder.join("data"), folder.join("site"));
    let own = ["wasmchannel", "--addr", "127.0.0.1:0", "--data", data.to_str().unwrap(), "--site"];
    let words = own.iter().copied().chain([site.to_str().unwrap()]).chain(flags.iter().copied());
    CommandLine::try_parse_from(words).unwrap().settings
}

impl World {
    pub(crate) async fn open() -> Self {
        Self::with(&[]).await
    }

    /// A house with these flags.
    pub(crate) async fn with(flags: &[&str]) -> Self {
        Self::at(Place::new().await, flags).await
    }

    /// A house over a file, for stories about that file.
    pub(crate) async fn over_file(flags: &[&str]) -> Self {
        Self::at(Place::file(), flags).await
    }

    async fn at(place: Place, flags: &[&str]) -> Self {
        make_site(place.folder.path()).unwrap();
        Self::over(place, flags).await
    }

    async fn over(place: Place, flags: &[&str]) -> Self {
        let url = place.url.clone().unwrap_or_default();
        let database = ["--database", url.as_str()];
        let of_place = if url.is_empty() { &[][..] } else { &database[..] };
        let flags: Vec<&str> = of_place.iter().chain(flags).copied().collect();
        let house = House::open(settings(place.folder.path(), &flags)).await.unwrap();
        let url = format!("http://{}", house.addr);
        Self { house, url, place }
    }

    /// Ends the house and opens it again over the same place.
    pub(crate) async fn reopened(self) -> Self {
        self.house.close().await;
        Self::over(self.place, &[]).await
    }

    /// A house over what a kill of this one would leave, once this was done to it.
    pub(crate) async fn killed(&self, harm: impl FnOnce(&Path)) -> Self {
        let place = Place::file();
        std::fs::create_dir_all(&place.data).unwrap();
        for name in ["wasmchannel.db", "wasmchannel.db-wal"] {
            std::fs::copy(self.data().join(name), place.data.join(name)).unwrap();
        }
        harm(&place.data);
        Self::at(place, &[]).await
    }

    /// The folder of what lasts.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.place.data.clone()
    }

    /// A browser that was never here.
    pub(crate) fn browser(&self) -> Browser {
        let policy = reqwest::redirect::Policy::none();
        let client = Client::builder().cookie_store(true).redirect(policy).build().unwrap();
        Browser { client, url: self.url.clone() }
    }

    /// Changes what is stored, behind the back of the house.
    pub(crate) async fn write(&self, statement: &str) {
        self.place.write(statement, statement).await;
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.place.count(table).await
    }
}

impl Browser {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.at(path)).send().await.unwrap()).await
    }

    /// A GET with headers of the test's own.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request =
            headers.iter().fold(self.client.get(self.at(path)), |request, (name, value)| {
                request.header(*name, *value)
            });
        Answer::of(request.send().await.unwrap()).await
    }

    /// Sends a form from a page of the house.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send_with(path, fields, &[("origin", &self.url)]).await
    }

    /// Sends a form with headers of the test's own, and with no Origin but one among them.
    pub(crate) async fn send_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = self
            .client
            .post(self.at(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Answer::of(request.send().await.unwrap()).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    /// A header's text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where a redirect leads.
    pub(crate) fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// The op id of the form that is sent to this path.
    pub(crate) fn op_of(&self, action: &str) -> String {
        let (_, form) = self.body.split_once(&format!("action=\"{action}\"")).unwrap();
        let (_, value) = form.split_once("name=\"op\" value=\"").unwrap();
        value.split('"').next().unwrap().to_owned()
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| {
        if byte.is_ascii_alphanumeric() {
            text + &char::from(byte).to_string()
        } else {
            text + &format!("%{byte:02X}")
        }
    })
}
