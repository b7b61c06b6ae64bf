//! Values that look like secrets and that all the world knows: examples of standards, and the fixed keys of emulators.
//!
//! Kept as hashes, so that no file of ours holds what a scanner flags. A value is compared without anything but letters, digits, `+` and `/`.

/// The first eight bytes of BLAKE3, big-endian, of each value.
const PUBLIC: [u64; 28] = [
    // The token of a registry in the Cargo book, and the key in the examples of systemd.netdev(5).
    0x0bb1_a84f_b069_82c3,
    0x56a0_88bd_fac1_30b5,
    // UUIDs that examples use: 123e4567-…, 550e8400-…, and that of RFC 4122 section 3.
    0xeda3_d833_5596_cc7d,
    0x9a39_fab4_cbf4_a397,
    0x9de1_5dd6_bc83_8605,
    // RFC 6749 section 4.1.2.
    0x9d99_172d_418a_2b86,
    // RFC 6749 section 4.1.4.
    0xbc7e_719b_8e24_b8d3,
    0xdd9e_d349_2872_1097,
    // RFC 6749 section 4.1.3.
    0xa512_326e_817f_a61f,
    // RFC 6749 section 2.3.1.
    0xf642_b6a1_aa5d_0c89,
    0x1e26_71df_4a43_21de,
    // RFC 6750 section 2.1.
    0xb9ef_c129_3f77_ead0,
    // RFC 7617 section 2.
    0x9e56_fd0e_0fe2_c84f,
    // RFC 5849 section 1.2.
    0x277e_81a9_13a1_a3dd,
    0xaca5_a48e_7999_aaff,
    0x77a4_74fd_0902_f52b,
    0xcd87_4d98_3f05_4603,
    0x3584_05fe_4036_24ca,
    // RFC 5849 section 3.1.
    0x4fea_0687_67ef_25e2,
    0xe171_e545_7d60_6ebd,
    0x2f1e_9567_e1fe_6590,
    // OAuth Core 1.0 appendix A.
    0xb56d_eccc_8a56_d23c,
    0x50a7_de41_0cc8_6bee,
    // The account key of the Azure storage emulator (learn.microsoft.com, "Use the Azurite emulator").
    0x69da_5152_eb88_8edb,
    // The key of the Azure Cosmos DB emulator (learn.microsoft.com).
    0x1249_cc0d_bbfa_4b8b,
    // The test keys in the examples of docs.stripe.com.
    0xbb79_0e9b_7aa9_f9b4,
    0xbf6c_d940_1acb_67fc,
    // The secret key in the examples of docs.aws.amazon.com.
    0x4d3f_256a_7331_f681,
];

/// Whether all the world knows this value.
pub fn is_public(value: &[u8]) -> bool {
    let kept: Vec<u8> = value.iter().copied().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).collect();
    let hash = blake3::hash(&kept);
    hash.as_bytes().first_chunk().is_some_and(|first| PUBLIC.contains(&u64::from_be_bytes(*first)))
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn examples_of_standards_are_public_in_any_wrapping_and_nothing_else_is() {
        // RFC 6749 section 4.1.4, backwards so that it stands in no file.
        let value: String = "AApWMcisCz1rjEFZFntoY".chars().rev().collect();
        let known: String = "AApWMcisCz1rjEFZFntoY2".chars().rev().collect();
        assert!(is_public(known.as_bytes()) && is_public(format!("\"{known}\"").as_bytes()));
        assert!(!is_public(value.as_bytes()) && !is_public(b""));
    }
}
