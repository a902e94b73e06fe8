//! What a server can do, and what becomes of it.

use super::*;

#[test]
fn the_right_file_is_placed_whatever_the_server_does_on_the_way() {
    let (server, sum) = server("fetch-right");
    let table = [
        ("ok", vec!["https /ok/tool.tar.gz -"]),
        ("redirect", vec!["https /redirect/tool.tar.gz -", "https /ok/tool.tar.gz -"]),
        ("503-once", vec!["https /503-once/tool.tar.gz -"; 2]),
        ("resume", vec!["https /resume/tool.tar.gz -", "https /resume/tool.tar.gz bytes=HALF-"]),
        (
            "no-range",
            vec![
                "https /no-range/tool.tar.gz -",
                "https /no-range/tool.tar.gz bytes=HALF-",
                "https /no-range/tool.tar.gz -",
            ],
        ),
    ];
    let half = fs::metadata(server.files().join("tool.tar.gz")).unwrap().len() / 2;
    let mut seen = 0;
    for (mode, requests) in table {
        let place = Place::trusting("right", &server);
        let url = server.url(&format!("{mode}/tool.tar.gz"));
        let path = place.fetch(&archive(url.clone(), sum.clone(), None)).unwrap();
        assert_eq!(path, place.bin().join("tool"));
        assert_eq!(fs::read_to_string(&path).unwrap(), PROGRAM);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode(),
            0o100_755,
            "not the mode in the archive"
        );
        assert_eq!(names(&place.bin()), ["tool"]);
        assert_eq!(names(&place.downloads()), [format!("{sum}.archive"), format!("{sum}.lock")]);
        assert_eq!(Outcome::of(&mut Command::new(&path)).expect_code(0).stdout, "new\n");

        let requests =
            requests.iter().map(|line| line.replace("HALF", &half.to_string())).collect::<Vec<_>>();
        assert_eq!(server.requests()[seen..], requests, "{mode}");
        seen += requests.len();
        assert!(place.said.notes.lock().unwrap().is_empty(), "nothing is said on the normal road");
        // The command that is told does the same when it is pasted.
        let details = place.details();
        assert!(
            details.starts_with("curl --disable --proto =https --proto-redir =https --tlsv1.2"),
            "{details}"
        );
        assert!(details.contains(&format!("-- {url}\n")), "{details}");
    }
}

#[test]
fn what_fails_is_told_and_neither_unpacked_nor_placed() {
    let (server, sum) = server("fetch-fails");
    let table = [
        ("404/tool.tar.gz", "returned error: 404; check `url`", 1),
        ("500/tool.tar.gz", "returned error: 500", 2),
        ("truncated/tool.tar.gz", "curl: (18)", 3),
        ("huge/tool.tar.gz", "is larger than 100000 bytes, which no release of a tool is; correct `url`", 1),
        ("huge-length/tool.tar.gz", "curl: (63) Maximum file size exceeded", 1),
        ("loop/tool.tar.gz", "Maximum (10) redirects followed; check `url`", 11),
        ("redirect-http/tool.tar.gz", "only https is used, also where the server redirects to", 1),
        ("redirect-file/tool.tar.gz", "only https is used, also where the server redirects to", 1),
        ("ok/tool.tar.gz", "has the SHA-256", 1),
    ];
    let mut seen = 0;
    for (path, expected, requests) in table {
        let mut place = Place::trusting("fails", &server);
        place.limits.bytes = 100_000;
        place.script("tar", "echo \"$@\" >>\"$HOME.tar-was-called\"; exit 1");
        let pinned = if path.starts_with("ok/") { "0".repeat(64) } else { sum.clone() };
        let said = place.refusal(&archive(server.url(path), pinned, None));
        assert!(said.starts_with("failed to install tool 1.0: "), "{said}");
        assert!(said.contains(expected), "{path}: {said}\n{expected}");
        assert!(!place.dir.path().join("home.tar-was-called").exists(), "{path}: nothing is unpacked");
        assert!(!names(&place.downloads()).iter().any(|name| name.ends_with(".archive")), "{path}");
        let new = server.requests()[seen..].to_vec();
        assert_eq!(new.len(), requests, "{path}: {new:?}");
        assert!(!new.iter().any(|line| line.starts_with("http ")), "never without TLS: {new:?}");
        seen += requests;
    }
}

#[test]
fn a_wrong_sum_leaves_the_old_program_and_no_download() {
    let (server, sum) = server("fetch-sum");
    let place = Place::trusting("sum", &server);
    let url = server.url("ok/tool.tar.gz");
    place.dir.write("cargo home/bin/tool", "old");
    let pinned = "ab".repeat(32);
    let said = place.refusal(&archive(url.clone(), pinned.clone(), None));
    let expected = format!("{url} has the SHA-256 {sum}, not the pinned {pinned}");
    assert!(said.contains(&expected), "{said}\n{expected}");
    assert_eq!(place.dir.read("cargo home/bin/tool"), "old");
    assert_eq!(names(&place.downloads()), [format!("{pinned}.lock")]);
}

#[test]
fn what_stalls_or_takes_too_long_is_given_up() {
    let (server, sum) = server("fetch-slow");
    let table =
        [("stall/tool.tar.gz", 20, "curl: (28)"), ("drip/tool.tar.gz", 1, "not downloaded within 1 s")];
    for (path, whole, expected) in table {
        let mut place = Place::trusting("slow", &server);
        place.limits.whole = Duration::from_secs(whole);
        place.limits.retries = 0;
        if path.starts_with("drip") {
            place.limits.retries = 5;
        }
        let started = std::time::Instant::now();
        let said = place.refusal(&archive(server.url(path), sum.clone(), None));
        assert!(said.contains(expected), "{path}: {said}");
        assert!(started.elapsed() < Duration::from_secs(8), "{path}: {:?}", started.elapsed());
        assert!(names(&place.downloads()).contains(&format!("{sum}.part")), "kept to be gone on with");
    }
}

#[test]
fn who_does_not_answer_is_given_up() {
    // The kernel takes the connection; nobody answers in it.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}/tool.tar.gz", deaf.local_addr().unwrap().port());
    let mut place = Place::new("deaf");
    place.limits.connect = Duration::from_millis(300);
    let started = std::time::Instant::now();
    let said = place.refusal(&archive(url, "0".repeat(64), None));
    assert!(said.contains("curl: (28)"), "{said}");
    let tries = place.details().lines().filter(|line| line.starts_with("curl ")).count();
    assert_eq!(tries, 2, "once more, as it may pass: {}", place.details());
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn what_is_left_of_an_earlier_download_is_gone_on_with_or_thrown_away() {
    let (server, sum) = server("fetch-part");
    let whole = fs::read(server.files().join("tool.tar.gz")).unwrap();
    let half = &whole[..whole.len() / 2];
    let other = vec![b'?'; whole.len() / 2];
    let (longer, as_long) = (vec![b'?'; whole.len() + 5], vec![b'?'; whole.len()]);
    let beyond = vec![b'?'; 200_000];
    let range = format!("https /resume/tool.tar.gz bytes={}-", half.len());
    let anew = "https /resume/tool.tar.gz -".to_owned();
    let after = |bytes: &[u8]| format!("https /resume/tool.tar.gz bytes={}-", bytes.len());
    let table = [
        ("half", half, vec![range.clone()]),
        ("whole", &whole, vec![]),
        ("another half", &other, vec![range, anew.clone()]),
        ("longer", &longer, vec![after(&longer), anew.clone()]),
        ("as long", &as_long, vec![after(&as_long), anew.clone()]),
        ("beyond the limit", &beyond, vec![anew.clone()]),
        ("empty", &[], vec![anew.clone()]),
    ];
    // The first request is the one that is broken off.
    let first = Place::trusting("part-first", &server);
    first.fetch(&archive(server.url("resume/tool.tar.gz"), sum.clone(), None)).unwrap();
    let mut seen = 2;
    for (name, part, requests) in table {
        let mut place = Place::trusting("part", &server);
        place.limits.bytes = 100_000;
        fs::create_dir_all(place.downloads()).unwrap();
        let path = place.downloads().join(format!("{sum}.part"));
        xtask_files::write_atomic(&path, part, xtask_files::Durability::Cache).unwrap();
        place.fetch(&archive(server.url("resume/tool.tar.gz"), sum.clone(), None)).expect(name);
        assert_eq!(place.dir.read("cargo home/bin/tool"), PROGRAM, "{name}");
        assert_eq!(server.requests()[seen..], requests, "{name}");
        seen += requests.len();
    }
}

#[test]
fn a_file_that_changes_between_two_tries_is_downloaded_once_more_as_a_whole() {
    let server = HttpsServer::start("fetch-changed");
    let old = server.files().join("tool.tar.gz");
    xtask_files::write_atomic(&old, "0123456789".repeat(30), xtask_files::Durability::Cache).unwrap();
    // What the server makes of it after the first request.
    let new = format!("XXXXXXXXXX{}", "0123456789".repeat(29));
    let copy = server.files().join("new");
    xtask_files::write_atomic(&copy, &new, xtask_files::Durability::Cache).unwrap();
    let place = Place::trusting("changed", &server);
    let sum = sum(&copy);
    // It is the pinned file, and no archive.
    let said = place.refusal(&archive(server.url("changed/tool.tar.gz"), sum.clone(), None));
    assert!(said.contains("`tar ") && said.contains("failed in"), "{said}");
    assert_eq!(fs::read_to_string(place.downloads().join(format!("{sum}.archive"))).unwrap(), new);
    let ranges =
        server.requests().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ranges, ["-", "bytes=150-", "-"]);
}

#[test]
fn a_second_install_needs_no_network_and_checks_again() {
    let (server, sum) = server("fetch-offline");
    let place = Place::trusting("offline", &server);
    let archive = archive(server.url("ok/tool.tar.gz"), sum.clone(), None);
    let path = place.fetch(&archive).unwrap();
    let kept = place.downloads().join(format!("{sum}.archive"));
    fs::remove_file(&path).unwrap();

    // curl is not even looked for.
    let mut offline = Place::new("offline-2");
    offline.only(&["tar", "gzip"]);
    fs::create_dir_all(offline.downloads()).unwrap();
    fs::copy(&kept, offline.downloads().join(kept.file_name().unwrap())).unwrap();
    offline.fetch(&archive).unwrap();
    assert_eq!(offline.dir.read("cargo home/bin/tool"), PROGRAM);
    assert_eq!(server.requests().len(), 1);

    // A kept file that is another one by now is not used.
    xtask_files::write_atomic(&kept, "broken", xtask_files::Durability::Cache).unwrap();
    place.fetch(&archive).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), PROGRAM);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn the_users_curlrc_changes_nothing_and_the_variables_do() {
    let (server, sum) = server("fetch-curlrc");
    let archive = archive(server.url("ok/tool.tar.gz"), sum, None);
    let place = Place::trusting("curlrc", &server);
    place.dir.write("home/.curlrc", "output = \"stolen\"\ninsecure\n");
    place.fetch(&archive).unwrap();

    // No authority is named, and the file that would make curl trust all is not read.
    let mut distrusting = Place::new("distrust");
    distrusting.dir.write("home/.curlrc", "insecure\n");
    let said = distrusting.refusal(&archive);
    assert!(said.contains("curl: (60)") && said.contains("name its certificate in CURL_CA_BUNDLE"), "{said}");

    distrusting.environment.set("CURL_CA_BUNDLE", server.authority());
    distrusting.environment.set("HTTPS_PROXY", server.plain_url());
    let said = distrusting.refusal(&archive);
    assert!(said.contains("403"), "{said}");
    let asked = server.requests().pop().unwrap();
    assert!(asked.starts_with("proxy localhost:"), "{asked}");
}

#[test]
fn two_at_once_download_it_once_and_both_succeed() {
    let (server, sum) = server("fetch-two");
    let place = Place::trusting("two", &server);
    let archive = archive(server.url("ok/tool.tar.gz"), sum, None);
    std::thread::scope(|scope| {
        let fetches = (0..3).map(|_| scope.spawn(|| place.fetch(&archive))).collect::<Vec<_>>();
        for fetched in fetches {
            assert_eq!(fetched.join().unwrap().unwrap(), place.bin().join("tool"));
        }
    });
    assert_eq!(place.dir.read("cargo home/bin/tool"), PROGRAM);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(names(&place.bin()), ["tool"]);
    assert!(!place.said.notes.lock().unwrap().is_empty(), "who waits is told so");
}

#[test]
fn what_is_no_archive_or_no_name_is_refused_before_anything_is_made() {
    let place = Place::new("names");
    let sum = "0".repeat(64);
    for url in ["https://localhost/tool.zip", "https://localhost/tool", "https://localhost/x.tar.xz"] {
        let said = place.refusal(&archive(url.to_owned(), sum.clone(), None));
        assert!(said.contains("is not a .tar.gz"), "{said}");
    }
    for program in ["", ".", "..", "a/b", "/tool", "a\\b", "C:x", "tool/"] {
        let url = "https://localhost/x.tar.gz".to_owned();
        let fetched = place.fetch_as(&archive(url, sum.clone(), None), program);
        assert!(format!("{:#}", fetched.unwrap_err()).contains("is not a program's name"), "{program}");
    }
    assert!(!place.downloads().exists() && !place.bin().exists());
}
