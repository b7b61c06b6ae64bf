//! Every dependency has a licence that fits Apache-2.0.

use portcullis_house::metadata;

const FIT: [&str; 15] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unlicense",
    "BSL-1.0",
    // In the manner of BSD, with the notice of origin of zlib.
    "bzip2-1.0.6",
];

/// `A OR B` fits when one of them does, `A AND B` when both do; `A WITH exception` is judged as A.
fn fits(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    expression.split(" AND ").all(|part| part.split(" OR ").any(|one| FIT.contains(&one.split(" WITH ").next().unwrap_or_default().trim())))
}

#[test]
fn licences_of_all_dependencies_fit() {
    let metadata = metadata(&[]);
    for package in metadata["packages"].as_array().expect("packages") {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(fits(licence), "{} {}: {licence:?}", package["name"], package["version"]);
    }
}

#[test]
fn the_judge_of_licences_refuses_what_does_not_fit() {
    assert!(
        fits("MIT OR Apache-2.0")
            && fits("GPL-3.0 OR MIT")
            && fits("(MIT OR Apache-2.0) AND Unicode-3.0")
            && fits("Apache-2.0 WITH LLVM-exception")
    );
    assert!(!fits("GPL-3.0") && !fits("MIT AND CC-BY-SA-4.0") && !fits(""));
}
