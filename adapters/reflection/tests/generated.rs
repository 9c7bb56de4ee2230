//! The generated code in the tree is what antiphon-build makes of the .proto files. `ANTIPHON_UPDATE_GOLDEN=1` writes
//! it anew.

use std::fs;
use std::path::Path;

#[test]
fn the_generated_code_is_up_to_date() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (proto, committed) = (crate_dir.join("proto"), crate_dir.join("src/generated"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("antiphon-reflection");
    fs::create_dir_all(&out).unwrap();
    let protos =
        ["v1", "v1alpha"].map(|version| proto.join(format!("grpc/reflection/{version}/reflection.proto")));
    let config = antiphon_build::Config::new().server(false).bytes(["."]).include_file(None).out_dir(&out);
    config.compile(&protos, &[proto]).unwrap();

    // The messages of v1alpha are those of v1: its schema alone is needed.
    for name in ["grpc.reflection.v1.rs", "grpc.reflection.v1.bin", "grpc.reflection.v1alpha.bin"] {
        if std::env::var_os("ANTIPHON_UPDATE_GOLDEN").is_some() {
            fs::copy(out.join(name), committed.join(name)).unwrap();
        }
        assert!(
            fs::read(out.join(name)).unwrap() == fs::read(committed.join(name)).unwrap(),
            "{name} is not what is generated from the .proto files"
        );
    }
}
