//! A key of TSIG, as `tsig-keygen` writes it: `key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`. PURE.
//!
//! Refuses algorithms that RFC 8945 advises against. No part of a secret is in an error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, TSigner};

/// Seconds that the server's clock may be off ours: what RFC 8945 recommends.
const FUDGE: u16 = 300;

/// The signer of a key file, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<TSigner, String> {
    let words = words(text);
    let mut words = words.iter().map(String::as_str);
    if words.next() != Some("key") {
        return Err("does not begin with `key`".to_owned());
    }
    let name = words.next().unwrap_or_default();
    let name = Name::from_ascii(name).map_err(|_| "its name is not one of DNS".to_owned())?;
    if words.next() != Some("{") {
        return Err("has no block after its name".to_owned());
    }
    let (mut algorithm, mut secret) = (None, None);
    loop {
        match (words.next(), words.next(), words.next()) {
            (Some("algorithm"), Some(word), Some(";")) => algorithm = Some(known(word)?),
            (Some("secret"), Some(word), Some(";")) => {
                secret = Some(STANDARD.decode(word).map_err(|_| "its secret is not base64".to_owned())?);
            }
            (Some("}"), None | Some(";"), None) => break,
            _ => return Err("has something else than `algorithm` and `secret`, or several keys".to_owned()),
        }
    }
    let algorithm = algorithm.ok_or("has no algorithm")?;
    let secret = secret.filter(|secret| !secret.is_empty()).ok_or("has no secret")?;
    TSigner::new(secret, algorithm, name, FUDGE).map_err(|error| error.to_string())
}

fn known(word: &str) -> Result<TsigAlgorithm, String> {
    match word.to_ascii_lowercase().trim_end_matches('.') {
        "hmac-sha256" => Ok(TsigAlgorithm::HmacSha256),
        "hmac-sha384" => Ok(TsigAlgorithm::HmacSha384),
        "hmac-sha512" => Ok(TsigAlgorithm::HmacSha512),
        _ => Err(format!("{word} is none of hmac-sha256, hmac-sha384 and hmac-sha512")),
    }
}

/// Words and marks, without quotes and comments.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in text.lines() {
        let (mut word, mut quoted) = (String::new(), false);
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            let is_comment = character == '#' || (character == '/' && characters.peek() == Some(&'/'));
            match character {
                '"' => quoted = !quoted,
                _ if quoted => word.push(character),
                // A secret that is not in quotes has slashes too, but at no beginning of a comment.
                _ if is_comment && word.is_empty() => break,
                '{' | '}' | ';' => {
                    words.extend([std::mem::take(&mut word), character.to_string()]);
                }
                _ if character.is_whitespace() => words.push(std::mem::take(&mut word)),
                _ => word.push(character),
            }
        }
        words.push(word);
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "# ours\nkey \"shop\" {\n\talgorithm hmac-sha256; // good\n\tsecret \"c2VjcmV0Ly8=\";\n};\n";

    #[test]
    fn reads_what_tsig_keygen_writes() {
        let signer = parse(KEY).unwrap();
        assert_eq!((signer.signer_name().to_string(), signer.key()), ("shop.".to_owned(), &b"secret//"[..]));
        assert_eq!(signer.algorithm(), &TsigAlgorithm::HmacSha256);
        for word in ["hmac-sha384", "HMAC-SHA512", "hmac-sha512."] {
            assert!(parse(&KEY.replace("hmac-sha256", word)).is_ok(), "{word}");
        }
        assert!(parse(&KEY.replace('"', "").replace('\n', " ").replace("# ours", "").replace("// good", "")).is_ok());
    }

    #[test]
    fn says_what_is_wrong_and_shows_no_secret() {
        for (text, why) in [
            (String::new(), "does not begin"),
            ("zone x { };".to_owned(), "does not begin"),
            ("key shop;".to_owned(), "no block"),
            ("key \"a..b\" { };".to_owned(), "not one of DNS"),
            ("key shop { };".to_owned(), "no algorithm"),
            (KEY.replace("algorithm hmac-sha256;", ""), "no algorithm"),
            (KEY.replace("hmac-sha256", "hmac-md5"), "hmac-md5 is none of"),
            (KEY.replace("c2VjcmV0Ly8=", "not!base64"), "not base64"),
            (KEY.replace("c2VjcmV0Ly8=", ""), "something else"),
            (KEY.replace("};", "algorithm"), "something else"),
            (format!("{KEY}{KEY}"), "something else"),
        ] {
            let error = parse(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("c2Vj") && !error.contains("base64!"), "{error}");
        }
    }
}
