//! How long a decision takes with 1,000 rules: percentiles over 1,000 different requests, 200 times each, one core.
//!
//! `cargo bench -p portcullis-policy --bench decide`

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use engine::Coverage;
use policy::{Destination, Details, Policy, Subject};
use portcullis_policy as policy;

const RULES: usize = 1000;
const REQUESTS: usize = 1000;
const ROUNDS: usize = 200;

fn policy(rule: impl Fn(usize) -> String) -> Policy {
    let mut source = String::from("version: 1\nextends: [strict, llm-apis, package-registries, github, gitlab]\ngroups:\n");
    for group in 0..50 {
        let _written = writeln!(source, "  g{group}: [box-{group}, 'team{group}-*']");
    }
    source.push_str("rules:\n");
    for n in 0..RULES {
        let _written = writeln!(source, "  - {{name: r{n}, {}}}", rule(n));
    }
    Policy::from_yaml("bench", &source).expect("a policy")
}

fn requests() -> Vec<Subject> {
    let paths = ["/", "/repos/o/r/pulls/1/merge", "/v1/messages", "/p7/a/b/c", "/p999/x", "/a%2fb/../c;d/e", "/simple/requests/"];
    let hosts = ["api.github.com", "pypi.org", "host7.example.com", "x.host500.example.com", "host999.example.com", "nowhere.example.org"];
    let methods = ["GET", "POST", "PUT", "DELETE"];
    let one = |n: usize| Subject {
        sandbox: if n.is_multiple_of(3) { format!("team{}-{n}", n % 60) } else { format!("box-{}", n % 60) },
        method: methods[n % methods.len()].to_owned(),
        destination: Destination::parse(
            if n.is_multiple_of(2) { hosts[n % hosts.len()].to_owned() } else { format!("host{n}.example.com") }.as_str(),
            true,
        )
        .expect("a host"),
        path: paths[n % paths.len()].to_owned(),
        content_type: "application/json".to_owned(),
        content_length: Some(1000),
        ..Subject::default()
    };
    (0..REQUESTS).map(one).collect()
}

fn measure(name: &str, policy: &Policy) -> String {
    let requests = requests();
    let headers = || vec![("x-ticket".to_owned(), "7".to_owned()), ("accept".to_owned(), "*/*".to_owned())];
    let mut times = Vec::with_capacity(REQUESTS * ROUNDS);
    // The middle of each request's own times: what is left without other people's work on the machine.
    let mut own = Vec::with_capacity(REQUESTS);
    for subject in &requests {
        let mut mine = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let terms = policy.terms(subject, Details { query: "a=1", headers: &headers });
            black_box(policy.admit(subject, &terms));
            black_box(policy.settings(&terms));
            black_box(policy.judge(subject, &terms, &[], Coverage::Complete));
            mine.push(begun.elapsed().as_nanos());
        }
        mine.sort_unstable();
        own.push(mine[ROUNDS / 2]);
        times.append(&mut mine);
    }
    times.sort_unstable();
    own.sort_unstable();
    let at = |list: &[u128], per_mille: usize| list[(list.len() * per_mille / 1000).min(list.len() - 1)];
    let (p50, p99, p999, requests) = (at(&times, 500), at(&times, 990), at(&times, 999), at(&own, 990));
    format!("{name:<44} p50 {p50:>6} ns   p99 {p99:>6} ns   p99.9 {p999:>6} ns   p99 of the requests' medians {requests:>6} ns")
}

fn main() {
    let action = |n: usize| if n.is_multiple_of(3) { "action: deny" } else { "action: allow" };
    let cases: [(&str, Policy); 5] = [
        (
            "1000 rules, each its host",
            policy(|n| format!("hosts: [host{n}.example.com, '*.host{n}.example.com'], methods: [GET, POST], {}", action(n))),
        ),
        ("1000 rules, one host, each its path", policy(|n| format!("hosts: [api.github.com], paths: ['/p{n}/**'], {}", action(n)))),
        ("1000 rules, all hosts, each its path", policy(|n| format!("paths: ['/p{n}/**'], {}", action(n)))),
        ("1000 rules, all hosts, by group and method", policy(|n| format!("groups: [g{}], methods: [PROPFIND], {}", n % 50, action(n)))),
        (
            "1000 rules, each its host, 100 with `when`",
            policy(|n| {
                let when = if n.is_multiple_of(10) { "when: \"method == 'PUT' && 'x-ticket' in headers\", " } else { "" };
                format!("hosts: [host{n}.example.com], {when}{}", action(n))
            }),
        ),
    ];
    let mut out = std::io::stdout().lock();
    for (name, policy) in &cases {
        let _written = writeln!(out, "{}", measure(name, policy));
    }
}
