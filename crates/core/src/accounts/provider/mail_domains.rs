//! Mail domains under which anybody gets an address: none of them is an organization's, so that none leads to its provider.
//! These are the largest; whoever runs another can do no more with it than send those who type its addresses to a page that
//! names the organization and the host.

/// Sorted, so that a look takes few steps.
const PUBLIC: [&str; 103] = [
    "126.com",
    "139.com",
    "163.com",
    "189.cn",
    "aim.com",
    "alice.it",
    "aliyun.com",
    "aol.com",
    "arcor.de",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bluewin.ch",
    "bol.com.br",
    "btinternet.com",
    "centrum.cz",
    "charter.net",
    "comcast.net",
    "cox.net",
    "daum.net",
    "disroot.org",
    "duck.com",
    "earthlink.net",
    "email.cz",
    "email.it",
    "fastmail.com",
    "fastmail.fm",
    "free.fr",
    "freenet.de",
    "frontier.com",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hanmail.net",
    "hey.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.fr",
    "hotmail.it",
    "hushmail.com",
    "icloud.com",
    "inbox.lv",
    "inbox.ru",
    "interia.pl",
    "kakao.com",
    "laposte.net",
    "libero.it",
    "list.ru",
    "live.co.uk",
    "live.com",
    "live.de",
    "live.fr",
    "live.nl",
    "mac.com",
    "mail.com",
    "mail.de",
    "mail.ru",
    "mailbox.org",
    "me.com",
    "msn.com",
    "naver.com",
    "o2.pl",
    "optonline.net",
    "orange.fr",
    "outlook.com",
    "outlook.de",
    "outlook.fr",
    "pm.me",
    "posteo.de",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rambler.ru",
    "rediffmail.com",
    "rocketmail.com",
    "rogers.com",
    "sapo.pt",
    "sbcglobal.net",
    "seznam.cz",
    "sfr.fr",
    "sina.com",
    "sky.com",
    "sohu.com",
    "t-online.de",
    "terra.com.br",
    "tuta.com",
    "tutanota.com",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "virginmedia.com",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "yahoo.com",
    "yandex.ru",
    "ymail.com",
    "zoho.com",
];

/// Labels under which large public providers have domains in many countries: `yahoo.co.jp`, `hotmail.es`.
const BRANDS: [&str; 4] = ["gmx", "hotmail", "outlook", "yahoo"];
/// Second-level labels of country domains.
const SECOND: [&str; 4] = ["co", "com", "net", "org"];

/// Whether anybody can get an address under this domain, or one above it.
pub(super) fn is_public(domain: &str) -> bool {
    let mut above = std::iter::successors(Some(domain), |rest| rest.split_once('.').map(|(_, rest)| rest));
    above.any(|domain| PUBLIC.binary_search(&domain).is_ok() || is_of_brand(domain))
}

fn is_of_brand(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    match labels.as_slice() {
        [brand, country] => BRANDS.contains(brand) && country.len() == 2,
        [brand, second, country] => BRANDS.contains(brand) && SECOND.contains(second) && country.len() == 2,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_domains_are_found_with_what_is_below_them() {
        assert!(PUBLIC.is_sorted());
        for domain in
            ["gmail.com", "web.de", "mail.gmail.com", "126.com", "zoho.com", "yahoo.co.jp", "hotmail.es"]
        {
            assert!(is_public(domain), "{domain}");
        }
        for domain in
            ["example.com", "gmail.com.example", "notgmail.com", "com", "co.jp", "live.example", "yahoo"]
        {
            assert!(!is_public(domain), "{domain}");
        }
    }
}
