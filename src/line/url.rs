//! The URL of an endpoint: its query may hold words that stand for whom a question is about. They are put in as values, so
//! that no name of anybody's becomes part of the address. Never a host, a path or the name of a parameter.

use reqwest::Url;

use crate::metrics::{About, number::COLOR};

/// What is wrong with a URL as it is configured, if anything is.
pub(super) fn wrong(url: &str) -> Option<&'static str> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    if address.contains("{{") {
        return Some("url: `{{…}}` may only stand in a value behind the `?`");
    }
    let ours =
        |value: &str| About::default().words().iter().fold(value.to_owned(), |text, (word, _)| text.replace(word, ""));
    let parameters = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    for (name, value) in parameters {
        if name.contains("{{") {
            return Some("url: `{{…}}` may only stand in a value behind the `?`");
        }
        if ours(value).contains("{{") {
            return Some(
                "url: knows `{{namespace}}`, `{{name}}`, `{{color}}` and `{{revision}}`, and nothing else in `{{}}`",
            );
        }
    }
    None
}

/// Whether it can be asked about one color.
pub(super) fn tells_colors(url: &str) -> bool {
    url.contains(COLOR)
}

/// The URL about somebody: each word is replaced once, in a value, and what is put in is encoded.
pub fn about(url: &Url, about: &About) -> Url {
    let mut filled = url.clone();
    let pairs: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), fill(&value, about))).collect();
    if !pairs.is_empty() {
        filled.query_pairs_mut().clear().extend_pairs(pairs);
    }
    filled
}

/// From left to right, so that what was put in is never read again.
fn fill(value: &str, about: &About) -> String {
    let mut filled = String::new();
    let mut rest = value;
    while let Some((at, word, text)) =
        about.words().into_iter().filter_map(|(word, text)| Some((rest.find(word)?, word, text))).min()
    {
        filled.push_str(rest.get(..at).unwrap_or_default());
        filled.push_str(text);
        rest = rest.get(at + word.len()..).unwrap_or_default();
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::{about, tells_colors, wrong};
    use crate::metrics::About;

    #[test]
    fn words_are_put_in_as_values() {
        let chat = About {
            namespace: "llm".into(),
            name: "a&b=c#?{{color}} é".into(),
            color: "green",
            revision: "1%2F".into(),
        };
        let filled = |url: &str| about(&Url::parse(url).unwrap(), &chat).to_string();
        assert_eq!(
            filled("http://x/y?ns={{namespace}}&n={{name}}&of=v-{{color}}-{{revision}}&k=1"),
            "http://x/y?ns=llm&n=a%26b%3Dc%23%3F%7B%7Bcolor%7D%7D+%C3%A9&of=v-green-1%252F&k=1"
        );
        assert_eq!(filled("http://x/y"), "http://x/y");
    }

    #[test]
    fn a_word_anywhere_else_is_refused() {
        for url in ["http://{{name}}/x", "http://x/{{name}}?a=1", "http://x?{{name}}=1", "http://x?{{name}}"] {
            assert!(wrong(url).is_some_and(|w| w.contains("only stand in a value")), "{url}");
        }
        for url in ["http://x?a={{window}}", "http://x?a={{ name }}", "http://x?a={{{{name}}}}"] {
            assert!(wrong(url).is_some_and(|w| w.contains("nothing else")), "{url}");
        }
        assert_eq!(wrong("http://x/y?a={{name}}-{{color}}&b"), None);
        assert!(tells_colors("http://x?c={{color}}") && !tells_colors("http://x?c={{name}}"));
    }
}
