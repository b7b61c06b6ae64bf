//! The generated types of `portcullis.scan.v1`: see `proto/portcullis/scan/v1/scan.proto`.

/// Messages, the client, and the server's trait.
#[allow(clippy::all, clippy::pedantic, clippy::restriction, missing_docs, unreachable_pub, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("portcullis.scan.v1");
}

/// The descriptors of the protocol, for server reflection: an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
