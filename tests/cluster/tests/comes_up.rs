//! The production overlay comes up as it was rendered, and works.

use portcullis_cluster::{Stack, inside};

#[test]
fn a_sandbox_reaches_the_world_through_the_gateway_and_secrets_do_not() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        stack.check(&[])
    });
}
