//! The generated code in the tree is what antiphon-build makes of the .proto file. `ANTIPHON_UPDATE_GOLDEN=1` writes it
//! anew.

use std::fs;
use std::path::Path;

#[test]
fn the_generated_code_is_up_to_date() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (proto, committed) = (crate_dir.join("proto"), crate_dir.join("src/generated"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("antiphon-health");
    fs::create_dir_all(&out).unwrap();
    let config = antiphon_build::Config::new().include_file(None).out_dir(&out);
    config.compile(&[proto.join("grpc/health/v1/health.proto")], &[proto]).unwrap();

    for name in ["grpc.health.v1.rs", "grpc.health.v1.bin"] {
        if std::env::var_os("ANTIPHON_UPDATE_GOLDEN").is_some() {
            fs::copy(out.join(name), committed.join(name)).unwrap();
        }
        assert!(
            fs::read(out.join(name)).unwrap() == fs::read(committed.join(name)).unwrap(),
            "{name} is not what is generated from the .proto file"
        );
    }
}
