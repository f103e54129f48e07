//! A tar archive of a few files, the same bytes each time: no owner, no time. A crate would be larger than this.
//! Nothing here reads one.

/// One record of an archive.
const RECORD: usize = 512;

/// The archive of some files: path, mode and content. Their directories come with them.
pub(super) fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut known = Vec::new();
    for (path, mode, content) in files {
        for (at, _) in path.match_indices('/') {
            let directory = &path[..=at];
            if !known.contains(&directory) {
                known.push(directory);
                all.extend(header(directory, 0o755, 0, b'5'));
            }
        }
        all.extend(header(path, *mode, content.len(), b'0'));
        all.extend(*content);
        all.resize(all.len().next_multiple_of(RECORD), 0);
    }
    all.resize(all.len() + 2 * RECORD, 0);
    all
}

/// The header of a file or a directory, as POSIX has it. All our paths are shorter than its field.
fn header(path: &str, mode: u32, size: usize, kind: u8) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let mut put = |at: usize, text: &str| record[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    // Counted as if the sum were blanks.
    put(148, "        ");
    put(257, "ustar");
    put(263, "00");
    record[156] = kind;
    let sum: u32 = record.iter().map(|byte| u32::from(*byte)).sum();
    record[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    record
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn tar_itself_reads_it() {
        let all = archive(&[("program", 0o755, b"12345"), ("etc/ssl/certs/ca.crt", 0o644, &[b'x'; 600])]);
        let mut tar =
            Command::new("tar").arg("-tvf").arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        tar.stdin.take().unwrap().write_all(&all).unwrap();
        let ended = tar.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        let seen: Vec<Vec<&str>> = said
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .map(|words| vec![words[0], words[2], words[words.len() - 1]])
            .collect();
        assert!(ended.status.success());
        assert_eq!(
            seen,
            [
                ["-rwxr-xr-x", "5", "program"],
                ["drwxr-xr-x", "0", "etc/"],
                ["drwxr-xr-x", "0", "etc/ssl/"],
                ["drwxr-xr-x", "0", "etc/ssl/certs/"],
                ["-rw-r--r--", "600", "etc/ssl/certs/ca.crt"],
            ]
        );
    }
}
