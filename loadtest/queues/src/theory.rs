//! What queueing theory says of the three queues that it can say everything of. The simulation is held against these.
//!
//! Sources: Kleinrock, *Queueing Systems I* (1975), chapters 3 and 5; Erlang C as in Cooper, *Introduction to Queueing Theory* (1981), 3.5.

/// The share of requests that have to wait with `servers` servers and an offered load of `erlangs` (arrivals a second times mean service
/// time), where arrivals are Poisson and service times exponential: Erlang C. 1 where the load is no less than the servers.
#[must_use]
pub fn erlang_c(servers: usize, erlangs: f64) -> f64 {
    let k = servers as f64;
    if erlangs >= k {
        return 1.0;
    }
    // Erlang B by its recursion, which does not overflow as factorials do.
    let blocked = (1..=servers).fold(1.0, |b, n| erlangs * b / (n as f64 + erlangs * b));
    let rho = erlangs / k;
    blocked / (1.0 - rho + rho * blocked)
}

/// Mean wait in M/M/k, in the unit of `service`; infinite where it is not stable.
#[must_use]
pub fn mmk_wait(servers: usize, utilisation: f64, service: f64) -> f64 {
    if utilisation >= 1.0 {
        return f64::INFINITY;
    }
    let k = servers as f64;
    erlang_c(servers, utilisation * k) * service / (k * (1.0 - utilisation))
}

/// The wait in M/M/k that a share `q` of requests does not exceed, in the unit of `service`.
#[must_use]
pub fn mmk_wait_quantile(servers: usize, utilisation: f64, service: f64, q: f64) -> f64 {
    if utilisation >= 1.0 {
        return f64::INFINITY;
    }
    let k = servers as f64;
    let waiting = erlang_c(servers, utilisation * k);
    // P(W > t) = C e^(-k (1 - rho) t / s)
    (service / (k * (1.0 - utilisation)) * (waiting / (1.0 - q)).ln()).max(0.0)
}

/// Mean wait in M/D/1 (Pollaczek and Khinchine, with service times that do not vary), in the unit of `service`.
#[must_use]
pub fn md1_wait(utilisation: f64, service: f64) -> f64 {
    if utilisation >= 1.0 { f64::INFINITY } else { utilisation * service / (2.0 * (1.0 - utilisation)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn one_server_is_the_formula_of_the_textbook() {
        for rho in [0.1, 0.5, 0.9] {
            near(erlang_c(1, rho), rho);
            near(mmk_wait(1, rho, 2.0), 2.0 * rho / (1.0 - rho));
        }
    }

    #[test]
    fn two_servers_by_hand() {
        // C(2, 1) = (1/2) / (1 - 1/2) / (1 + 1 + (1/2) / (1 - 1/2)) = 1/3.
        near(erlang_c(2, 1.0), 1.0 / 3.0);
        near(mmk_wait(2, 0.5, 3.0), 1.0);
        near(mmk_wait_quantile(2, 0.5, 3.0, 2.0 / 3.0), 0.0);
    }

    #[test]
    fn what_is_overloaded_waits_for_ever() {
        near(erlang_c(3, 3.0), 1.0);
        assert!(mmk_wait(3, 1.0, 1.0).is_infinite() && md1_wait(1.0, 1.0).is_infinite());
        assert!(mmk_wait_quantile(3, 1.2, 1.0, 0.5).is_infinite());
        assert!(erlang_c(1000, 900.0) < 0.01, "factorials would have overflowed");
    }
}
