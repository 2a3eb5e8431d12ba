//! The two cookies: the sign-in's secret and the chosen language.
//!
//! The configured public address decides about the sign-in's name and Secure, never a header that a
//! client or an unknown proxy wrote: `__Host-sid` with Secure under https, else `sid` without.
//! Its law: HttpOnly, SameSite=Lax, Path=/, and nothing else reads or writes a cookie.

use http::HeaderMap;
use http::header::COOKIE;

use super::token::SignInToken;

/// Seconds for which a browser keeps the sign-in: the longest that one may last.
const SIGN_IN_SECONDS: u32 = 90 * 24 * 60 * 60;
/// Seconds for which a browser keeps the language.
const LANGUAGE_SECONDS: u32 = 365 * 24 * 60 * 60;
/// The name of the language's cookie.
const LANGUAGE: &str = "lang";

/// How cookies are named and written here.
#[derive(Debug, Clone, Copy)]
pub struct Cookies {
    /// Browsers reach the server by https.
    pub https: bool,
}

impl Cookies {
    /// The name of the sign-in's cookie.
    #[must_use]
    pub const fn sign_in_name(&self) -> &'static str {
        if self.https { "__Host-sid" } else { "sid" }
    }

    /// The sign-in's secret that the browser sent.
    #[must_use]
    pub fn sign_in(&self, headers: &HeaderMap) -> Option<SignInToken> {
        find(headers, self.sign_in_name()).and_then(SignInToken::read)
    }

    /// The value of the `Set-Cookie` that gives a browser its secret.
    #[must_use]
    pub fn set_sign_in(&self, token: &SignInToken) -> String {
        self.written(self.sign_in_name(), &token.reveal(), SIGN_IN_SECONDS)
    }

    /// The tag of the language that the browser's user chose.
    #[must_use]
    pub fn language<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        find(headers, LANGUAGE)
    }

    /// The value of the `Set-Cookie` that keeps a language; `tag` is one of the catalogue's.
    #[must_use]
    pub fn set_language(&self, tag: &str) -> String {
        self.written(LANGUAGE, tag, LANGUAGE_SECONDS)
    }

    fn written(&self, name: &str, value: &str, seconds: u32) -> String {
        let secure = if self.https { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// The value of the first cookie with this name (RFC 6265, 5.4).
fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededChance;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, line.parse().unwrap())).collect()
    }

    #[test]
    fn the_configured_address_decides_about_name_and_secure() {
        let token = SignInToken::make(&mut SeededChance::new(1));
        let plain = Cookies { https: false }.set_sign_in(&token);
        assert!(plain.starts_with("sid=") && !plain.contains("Secure"), "{plain}");
        let secure = Cookies { https: true }.set_sign_in(&token);
        assert!(secure.starts_with("__Host-sid=") && secure.ends_with("; Secure"), "{secure}");
        for cookie in [plain, secure] {
            assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
            assert!(cookie.contains("; Path=/;") && !cookie.contains("Domain"), "{cookie}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_and_only_by_its_whole_name() {
        let token = SignInToken::make(&mut SeededChance::new(1));
        let sent = headers(&["a=1; xsid=2", &format!("lang=ar; sid={}", token.reveal())]);
        let cookies = Cookies { https: false };
        assert!(cookies.sign_in(&sent).unwrap().is(&token));
        assert_eq!(cookies.language(&sent), Some("ar"));
        assert!(Cookies { https: true }.sign_in(&sent).is_none());
        assert!(cookies.sign_in(&headers(&["sid=short"])).is_none());
    }
}
