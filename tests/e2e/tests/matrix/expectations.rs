//! What each fault answers, in both modes: the table.

use crate::bodies::Body;

/// What happens to traffic while the scanner does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Closed,
    Open,
}

impl Mode {
    pub(crate) const ALL: [Mode; 2] = [Mode::Closed, Mode::Open];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Closed => "fail-closed",
            Mode::Open => "fail-open",
        }
    }

    /// The arguments of `portcullis up`.
    pub(crate) fn args(self) -> &'static [&'static str] {
        match self {
            Mode::Closed => &[],
            Mode::Open => &["--fail-open"],
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ScannerDown,
    ScannerKilled,
    ScannerTerminated,
    ScannerFrozenAtHead,
    ScannerFrozenInBody,
    ScannerSlow,
    ScannerOutOfMemory,
    StuckAtHead,
    StuckInBody,
    StuckAfterRelease,
    ErrorAtHead,
    ErrorInBody,
    ErrorAfterRelease,
    CloseAtHead,
    CloseInBody,
    CloseAfterRelease,
    CertificatesDownKnownName,
    CertificatesDownNewName,
    CertificatesSlow,
    CertificatesRestarted,
    AuthorityChanged,
    PolicyBroken,
    TracesRefused,
    TracesHang,
    ClockAhead,
    ClockBack,
    AuditDiskFull,
    EnvoyReloaded,
    EnvoyDrained,
    EnvoyKilled,
    CountsLostAllow,
    CountsLostDeny,
}

/// Who can have let pass what arrived, so that all else at the origin is unscanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witness {
    /// Nobody: no scanner saw anything of the request.
    Nobody,
    /// A scanner that saw no more than what was sent before the fault came.
    BeforeTheGate,
    /// A scanner that may have seen more or less of it: the body ends with a secret, which it would not let pass.
    Secret,
    /// The scanner, which lives while the gateway does not: it has judged the head, and saw no more of the body than what was sent before.
    Survivor,
    /// The fake scanner, which counts what it lets pass.
    Fake,
    /// The scanner, which lives and counts what it judges.
    Scanner,
}

/// What the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This fault and this body do not come together.
    NotTried,
    /// The origin's answer to a request that was scanned.
    Scanned,
    /// The origin's answer to a request that was not, marked.
    Marked,
    /// An answer of the gateway's own with this status.
    Refused(u16),
    /// The connection ends without an answer, or in the middle of one.
    Cut,
    /// One of these: it depends on which of two things comes first.
    OneOf(&'static [Expected]),
}

impl Expected {
    pub(crate) fn holds(self, seen: Expected) -> bool {
        match self {
            Expected::OneOf(several) => several.contains(&seen),
            one => one == seen,
        }
    }
}

use Expected::{Cut, Marked, NotTried, OneOf, Refused, Scanned};

/// A row: fault; its name; what may have been scanned; bodies of the short form; fail-closed; fail-open (without body, small, large, streaming).
struct Row(Fault, &'static str, Witness, &'static [Body], [Expected; 4], [Expected; 4]);

const ALL_SCANNED: [Expected; 4] = [Scanned; 4];
const ALL_MARKED: [Expected; 4] = [Marked; 4];

/// Connections of a frozen scanner end after 3.5 s, and a request waits 4 s: what it learns first is a matter of moments.
const FROZEN: [Expected; 4] = [OneOf(&[Refused(503), Refused(504)]); 4];

/// A scanner without a free page may get along without one: then it finds the secret.
const KILLED_OR_FOUND: Expected = OneOf(&[Refused(503), Refused(403)]);
/// Envoy goes on with the body, without the pieces that the scanner had: what the origin makes of it depends on how it knows the body's end.
const GARBLED: Expected = OneOf(&[Marked, Refused(504)]);
/// As above, but the scanner had let the head pass.
const PASSES: Expected = OneOf(&[Scanned, Refused(504)]);

/// By body: none, small, large, streaming.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row(Fault::ScannerDown, "scanner down", Witness::Nobody, &Body::ALL, [Refused(503); 4], ALL_MARKED),
    Row(Fault::ScannerKilled, "scanner killed within the request", Witness::BeforeTheGate, &[Body::None, Body::Large], [Refused(503); 4], [Marked, Refused(503), Refused(503), Refused(503)]),
    Row(Fault::ScannerTerminated, "scanner told to end within the request", Witness::Secret, &[Body::Streaming], [NotTried, Refused(403), Refused(403), Refused(403)], [NotTried, Refused(403), Refused(403), Refused(403)]),
    Row(Fault::ScannerFrozenAtHead, "scanner frozen before the head", Witness::Nobody, &[Body::Small], FROZEN, ALL_MARKED),
    Row(Fault::ScannerFrozenInBody, "scanner frozen in the body", Witness::BeforeTheGate, &[Body::Large], [NotTried, Refused(503), Refused(503), Refused(503)], [NotTried, Refused(503), Refused(503), Refused(503)]),
    Row(Fault::ScannerSlow, "scanner slow (1.5 s)", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::ScannerOutOfMemory, "scanner out of memory", Witness::Secret, &[Body::Large], [KILLED_OR_FOUND; 4], [OneOf(&[Marked, Refused(403)]), KILLED_OR_FOUND, KILLED_OR_FOUND, KILLED_OR_FOUND]),

    Row(Fault::StuckAtHead, "scanner lives, stuck at the head", Witness::Fake, &[Body::None], [Refused(504); 4], ALL_MARKED),
    Row(Fault::ErrorAtHead, "scanner answers the head with an error", Witness::Fake, &Body::ALL, [Refused(503); 4], ALL_MARKED),
    Row(Fault::CloseAtHead, "scanner ends the stream cleanly at the head", Witness::Fake, &Body::ALL, [Refused(403); 4], ALL_MARKED),
    Row(Fault::StuckInBody, "scanner lives, stuck in the body", Witness::Fake, &[Body::Small], [NotTried, Refused(504), Refused(504), Refused(504)], [NotTried, Refused(504), Refused(504), Refused(504)]),
    Row(Fault::ErrorInBody, "scanner answers the body with an error", Witness::Fake, &[Body::Small, Body::Streaming], [NotTried, Refused(503), Refused(503), Refused(503)], [NotTried, Refused(503), Refused(503), Refused(503)]),
    Row(Fault::CloseInBody, "scanner ends the stream cleanly in the body", Witness::Fake, &[Body::Small], [NotTried, Refused(403), Refused(403), Refused(403)], [NotTried, GARBLED, GARBLED, GARBLED]),
    Row(Fault::StuckAfterRelease, "scanner lives, stuck after a release", Witness::Fake, &[Body::Streaming], [NotTried, NotTried, Refused(504), Refused(504)], [NotTried, NotTried, Refused(504), Refused(504)]),
    Row(Fault::ErrorAfterRelease, "scanner fails after a release", Witness::Fake, &[Body::Large], [NotTried, NotTried, Refused(503), Refused(503)], [NotTried, NotTried, Refused(503), Refused(503)]),
    Row(Fault::CloseAfterRelease, "scanner ends the stream cleanly after a release", Witness::Fake, &[Body::Streaming], [NotTried, NotTried, PASSES, PASSES], [NotTried, NotTried, PASSES, PASSES]),

    Row(Fault::CertificatesDownKnownName, "certificates down, known name", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::CertificatesDownNewName, "certificates down, new name", Witness::Nobody, &[Body::None], [Cut; 4], [Cut; 4]),
    Row(Fault::CertificatesSlow, "certificates slow (1.5 s), new name", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::CertificatesRestarted, "certificates restarted, new name", Witness::Scanner, &[Body::Streaming], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::AuthorityChanged, "CA of the leaves changed, new name", Witness::Scanner, &[Body::Large], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::PolicyBroken, "policy file broken", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::TracesRefused, "OTLP collector refuses", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::TracesHang, "OTLP collector hangs", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),

    Row(Fault::ClockAhead, "clock jumps a day ahead", Witness::Scanner, &[Body::None, Body::Streaming], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::ClockBack, "clock jumps a day back", Witness::Scanner, &[Body::None, Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::AuditDiskFull, "disk full for audit and logs", Witness::Scanner, &Body::ALL, ALL_SCANNED, ALL_SCANNED),

    Row(Fault::EnvoyReloaded, "Envoy's certificates exchanged", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::CountsLostAllow, "Redis down, on_loss: allow", Witness::Scanner, &[Body::Small], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::CountsLostDeny, "Redis down, on_loss: deny", Witness::Nobody, &[Body::Small], [Refused(503); 4], [Refused(503); 4]),
    Row(Fault::EnvoyDrained, "Envoy drained within the request", Witness::Scanner, &[Body::Streaming], ALL_SCANNED, ALL_SCANNED),
    Row(Fault::EnvoyKilled, "Envoy killed within the request", Witness::Survivor, &[Body::Large], [Cut; 4], [Cut; 4]),
];

impl Fault {
    fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.0 == self).unwrap_or_else(|| panic!("{self:?} is not in the table"))
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().1
    }

    /// Where it stands in the table.
    pub(crate) fn place(self) -> Option<usize> {
        TABLE.iter().position(|row| row.0 == self)
    }

    pub(crate) fn witness(self) -> Witness {
        self.row().2
    }

    pub(crate) fn expected(self, mode: Mode, body: Body) -> Expected {
        let Row(_, _, _, _, closed, open) = self.row();
        let at = Body::ALL.iter().position(|one| *one == body).unwrap_or_default();
        if mode == Mode::Closed { closed[at] } else { open[at] }
    }

    /// The bodies to try it with: all that come together with it, or those of the short form.
    pub(crate) fn bodies(self, mode: Mode) -> Vec<Body> {
        let full = std::env::var("PORTCULLIS_MATRIX").is_ok_and(|form| form == "full");
        let wanted = |body: &Body| full || self.row().3.contains(body);
        Body::ALL.into_iter().filter(|body| self.expected(mode, *body) != NotTried).filter(wanted).collect()
    }

    /// Whether the scanner itself said that the rest may pass: to Envoy that is what a stream means that ends with status OK after an answer to the
    /// head. The real scanner ends no stream so before the end of the request (`Guard` in services/scanner), and nothing in Envoy would hold it.
    pub(crate) fn is_the_scanners_word(self) -> bool {
        self == Fault::CloseAfterRelease
    }

    /// Whether the stream to the scanner ends with status OK and no verdict, which ext_proc does not count as a failure.
    pub(crate) fn ends_without_a_failure(self) -> bool {
        matches!(self, Fault::CloseAtHead | Fault::CloseInBody)
    }

    /// Whether the request holds a secret: where no scanner lives that would refuse it.
    pub(crate) fn is_tried_with_a_secret(self) -> bool {
        matches!(self.witness(), Witness::Nobody | Witness::BeforeTheGate | Witness::Secret) && self != Fault::CountsLostDeny
    }
}
