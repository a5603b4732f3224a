//! Turns `proto/` into Rust: parsed by protox, so that no `protoc` is needed to build.

/// Each file that declares a service or messages; imports are found beside them.
const PROTOS: [&str; 10] = [
    "cri/image.proto",
    "cri/runtime.proto",
    "containerd/containers.proto",
    "containerd/content.proto",
    "containerd/events.proto",
    "containerd/images.proto",
    "containerd/introspection.proto",
    "containerd/leases.proto",
    "containerd/tasks.proto",
    "containerd/version.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        // Same input, same bytes: labels and annotations keep their order.
        .btree_map(".")
        // Blobs are sent without being copied.
        .bytes(".containerd.services.content.v1.WriteContentRequest.data")
        // It holds a password: see its Debug in src/proto.rs.
        .skip_debug(["runtime.v1.AuthConfig"])
        .include_file("services.rs")
        .compile_fds(files)?;
    Ok(())
}
