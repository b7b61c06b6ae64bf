//! Names of hosts, as a handshake and as a request give them: refused, or one host in one normal form.
#![no_main]

use certificates::HostName;
use libfuzzer_sys::fuzz_target;
use policy::{Destination, Host};

fuzz_target!(|name: &str| {
    let (minted, judged) = (HostName::parse(name), Host::parse(name));
    if let Ok(host) = &minted {
        assert_eq!(HostName::parse(host.as_str()).as_ref(), Ok(host));
    }
    if let Ok(host) = &judged {
        assert_eq!(Host::parse(&host.to_string()).as_ref(), Ok(host));
    }
    // Whom the certificate is made for, and whom the policy judges.
    if let (Ok(minted), Ok(judged)) = (&minted, &judged) {
        assert_eq!(minted.as_str(), judged.to_string());
    }
    for tls in [true, false] {
        if let Ok(destination) = Destination::parse(name, tls) {
            assert_eq!(Destination::parse(&format!("{}:{}", destination.host, destination.port), tls).as_ref(), Ok(&destination));
        }
    }
});
