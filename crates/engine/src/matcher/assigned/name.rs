//! What a name says about the value it stands before.

use std::ops::Range;

/// What follows the credential's word in names of things that are about a credential and are none: `token_url`, `password_hint`, `KeyId`.
const ABOUT: &str = "\
    action address age alg algorithm alias arn at attribute attributes based bg bits blob bucket budget bytes \
    cache callback changed charset checksum ciphertext class color colour column count counter created date day days \
    description digest dir directory enabled encryption endpoint env error exp expander expiration expire \
    expires expiry ext extension field fields file filename fingerprint folder format function generation \
    generator handler hash hashes header help hint host icon id identifier ids index issuer kind label last \
    len length level lifetime limit link location manager max md message method min mint mode name names \
    namespace offset page path pattern placeholder policy prefix prompt provider public ref reference regex \
    required resource rotation scope scopes sha signature size state status store suffix time title ttl type \
    types updated uri url usage used user username valid validator validity var variable vault verifier \
    verify version";

/// What stands before the word of a token that is handed around openly: cursors, locks, names of requests, what browsers are given.
const OPEN: &str = "\
    action apns authenticity cancel cancellation captcha change client continuation csrf csrfmiddleware \
    cursor device end fcm idempotency input lock max min next nonce num output page pagination paging prev \
    previous push recaptcha registration request resume scroll start starting sync total unit update upload \
    xsrf";

/// What stands before any credential's word where the value is another one's: its public half, its hash, its ciphertext.
const OTHER: &str = "encrypted hashed no not notso pub public publishable";

/// Words that are parts of so many others that they announce only as the last word of a name: `smtp_pass` and no `compass`, `bypass` or `pass_rate`.
const LAST: [&[u8]; 3] = [b"pass", b"psk", b"pat"];

/// What stands before such a word in names that have lost their capitals: `dbpass`.
const OWNERS: &str = "\
    admin auth become bind db dbroot default email enable ftp http imap key keystore ldap login mail master mongo my \
    mysql pg pgsql pop postgres proxy rabbitmq redis remote require root server smtp sql ssh store sudo svn test user vault vpn web wifi";

/// Names of headers that log in are no leak; these words are in no such name.
const NO_LOGIN: [&str; 2] = ["secret", "pass"];

/// Whether a value under `name`, whose bytes `word` are what announces a credential, may be one.
pub(super) fn announces(name: &[u8], word: &Range<usize>) -> bool {
    let after = name.get(word.end..).unwrap_or_default();
    let says = name.get(word.clone()).unwrap_or_default();
    let word_alone = says.iter().skip_while(|b| matches!(b, b'_' | b'-')).count();
    let says_last = says.get(says.len() - word_alone..).unwrap_or_default();
    if LAST.iter().any(|l| says_last.eq_ignore_ascii_case(l)) {
        return stands_last(name, word);
    }
    let mut rest = words(after).into_iter().peekable();
    if after.first().is_some_and(u8::is_ascii_lowercase) {
        // `passwordless`, `tokenizer`, `secretary` are other words; `passwords` and `secretkey` are not.
        let joined = rest.next().unwrap_or_default();
        if !["s", "key", "keys", "token"].iter().any(|w| joined == w.as_bytes()) {
            return false;
        }
    }
    let among = |list: &str, word: &[u8]| list.split(' ').any(|w| w.as_bytes() == word);
    let before = words(name.get(..word.start).unwrap_or_default());
    // A key of JSON has lost its capitals: `clientrequesttoken`.
    let open = |w: &Vec<u8>| among(OPEN, w) || OPEN.split(' ').any(|o| o.len() >= 4 && w.ends_with(o.as_bytes()));
    let token = name.get(word.clone()).is_some_and(|w| w.eq_ignore_ascii_case(b"token"));
    // The keys for searching that such services hand to browsers.
    let lower = name.to_ascii_lowercase();
    let holds = |word: &[u8]| memchr::memmem::find(&lower, word).is_some();
    if holds(b"search") && [&b"algolia"[..], b"typesense", b"meili"].iter().any(|service| holds(service)) {
        return false;
    }
    let handed_around = token && before.iter().rev().take(2).any(open);
    !handed_around && !rest.any(|w| among(ABOUT, &w)) && !before.iter().any(|w| among(OTHER, w))
}

/// Whether the word is the last of the name, and a word of its own.
fn stands_last(name: &[u8], word: &Range<usize>) -> bool {
    let before = name.get(..word.start).unwrap_or_default();
    let rest = name.get(word.end..).unwrap_or_default();
    let joint = matches!(name.get(word.start), Some(b'_' | b'-'));
    let hump = name.get(word.start).is_some_and(u8::is_ascii_uppercase) && before.last().is_some_and(u8::is_ascii_lowercase);
    let owner = words(before).pop().unwrap_or_default();
    let apart = hump || joint || before.last().is_none_or(|b| !b.is_ascii_alphabetic());
    rest.iter().all(u8::is_ascii_digit) && (apart || OWNERS.split(' ').any(|o| o.as_bytes() == owner))
}

/// Whether a header of this name carries what nobody logs in with.
pub(super) fn is_no_login(header: &str) -> bool {
    NO_LOGIN.iter().any(|w| header.contains(w))
}

/// The words of a name in snake, kebab, dotted or camel case, in lower case; digits are no part of any.
fn words(name: &[u8]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut open = false;
    let mut previous = b' ';
    for (i, byte) in name.iter().enumerate() {
        let next_small = name.get(i + 1).is_some_and(u8::is_ascii_lowercase);
        let hump = byte.is_ascii_uppercase() && (previous.is_ascii_lowercase() || (previous.is_ascii_uppercase() && next_small));
        if byte.is_ascii_alphabetic() {
            if !open || hump {
                words.push(Vec::new());
            }
            if let Some(word) = words.last_mut() {
                word.push(byte.to_ascii_lowercase());
            }
            open = true;
        } else {
            open = false;
        }
        previous = *byte;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(name: &str, word: &str) -> bool {
        let at = name.to_ascii_lowercase().find(word).unwrap_or_else(|| panic!("{name} holds no {word}"));
        announces(name.as_bytes(), &(at..at + word.len()))
    }

    #[test]
    fn a_name_in_any_style_announces() {
        for (name, word) in [
            ("DB_PASSWORD", "password"),
            ("spring.mail.password", "password"),
            ("dbPassword2", "password"),
            ("X-Client-Secret", "secret"),
            ("secret_key_base", "secret"),
            ("passwords", "password"),
            ("APIKey", "apikey"),
            ("change_password", "password"),
            ("SMTP_PASS", "pass"),
            ("dbPass", "pass"),
            ("requirepass", "pass"),
            ("pass", "pass"),
            ("wpa-psk", "psk"),
        ] {
            assert!(says(name, word), "{name}");
        }
    }

    #[test]
    fn a_name_about_a_credential_does_not() {
        for (name, word) in [
            ("NextToken", "token"),
            ("nextPageToken", "token"),
            ("clientrequesttoken", "token"),
            ("PasswordLastUsed", "password"),
            ("secretArn", "secret"),
            ("AWSAccessKeyId", "accesskey"),
            ("token_url", "token"),
            ("tokenizer", "token"),
            ("passwordless", "password"),
            ("hashed_password", "password"),
            ("secretary", "secret"),
            ("bypass", "pass"),
            ("compass", "pass"),
            ("pass_rate", "pass"),
            ("passes", "pass"),
            ("GITHUB_PATH", "pat"),
            ("NAME_PATTERN", "_pat"),
            ("algoliaSearchApiKey", "apikey"),
            ("algoliasearchapikey", "apikey"),
            ("tokenMint", "token"),
        ] {
            assert!(!says(name, word), "{name}");
        }
    }
}
