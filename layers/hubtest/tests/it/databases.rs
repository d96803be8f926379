//! Databases of addresses as the hub's cases expect them, in files by the paths of the
//! URLs under which the hub knows them: given like those of an operator.

use std::fs;
use std::path::Path;

use hubtest::standins;

pub(crate) fn write(folder: &Path) {
    fs::create_dir(folder.join("mmdb_update")).unwrap();
    for path in standins::PATHS {
        fs::write(folder.join(path), standins::at(path).unwrap()).unwrap();
    }
}
