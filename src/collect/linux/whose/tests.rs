use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use super::*;
use crate::collect::linux::process_files::open_process;
use crate::model::ProjectSource;

/// A folder of its own for each test, which every user may enter.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Place(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> &Place {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn folder(&self, name: &str) -> &Place {
        fs::create_dir_all(self.path(name)).unwrap();
        self
    }

    fn repository(&self, name: &str, head: &str) -> &Place {
        self.file(&format!("{name}/.git/HEAD"), head)
    }
}

/// A process that ends with the test.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sleeper {
    fn project(&self) -> Option<Project> {
        let directory = open_process(Pid(self.0.id())).unwrap();
        Folders::default().project_of(directory.as_fd(), None)
    }
}

fn working_in(folder: &Path) -> Sleeper {
    Sleeper(Command::new("sleep").arg("1000").current_dir(folder).spawn().unwrap())
}

/// Runs lines of Perl, which end with the word `ready`, and keeps their process.
fn perl(wrapper: &[&str], lines: &str) -> Sleeper {
    let script = format!("$| = 1; {lines}; print \"ready\\n\"; sleep 1000");
    let mut words = wrapper.iter().copied().chain(["perl", "-e", &script]);
    let mut command = Command::new(words.next().unwrap());
    let mut child = command.args(words).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let sleeper = Sleeper(child);
    assert_eq!(line, "ready\n");
    sleeper
}

fn shown(project: Option<&Project>) -> String {
    let Some(project) = project else { return "-".to_owned() };
    let branch = project.branch.as_ref().map_or(String::new(), |branch| format!("@{}", branch.display()));
    format!("{}{branch} ({})", project.name.display(), project.source.name())
}

fn of(place: &Place, folder: &str) -> String {
    shown(working_in(&place.path(folder)).project().as_ref())
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert!(std::env::var_os("CI").is_none(), "this needs root");
        println!("skipped: this needs root");
    }
    is_root
}

const MAIN: &str = "ref: refs/heads/main\n";
const SOME: &str = "ref: refs/heads/feature/x\n";

#[test]
fn the_nearest_folder_with_a_repository_or_a_manifest_is_the_project() {
    let place = Place::new();
    place.repository("shop", SOME).folder("shop/src/a").file("shop/web/package.json", "{}").folder("shop/web/public");
    place.file("plain/go.mod", "").folder("plain/cmd").folder("none/a");
    place.repository("shop/vendor/inner", MAIN).folder("shop/vendor/inner/b");
    place.file("shop/web/node_modules/next/package.json", "{}").folder("shop/web/node_modules/next/dist");
    for (folder, expected) in [
        ("shop", "shop@feature/x (git)"),
        ("shop/src/a", "shop@feature/x (git)"),
        // In a monorepo the package is what runs, and the branch is the repository's.
        ("shop/web/public", "web@feature/x (package.json)"),
        ("plain/cmd", "plain (go.mod)"),
        ("shop/vendor/inner/b", "inner@main (git)"),
        // What a package manager has put there is part of the package that asked for it.
        ("shop/web/node_modules/next/dist", "web@feature/x (package.json)"),
        ("none/a", "-"),
    ] {
        assert_eq!(of(&place, folder), expected, "{folder}");
    }
    let found = working_in(&place.path("shop/src/a")).project().unwrap();
    assert_eq!(found.folder, Some(place.path("shop")));
    assert_eq!(working_in(Path::new("/")).project(), None);
}

#[test]
fn every_manifest_marks_a_project() {
    for name in ProjectSource::MANIFESTS {
        let place = Place::new();
        place.file(&format!("app/{name}"), "").folder("app/src");
        assert_eq!(of(&place, "app/src"), format!("app ({name})"));
    }
}

#[test]
fn worktrees_and_submodules_have_the_branch_of_their_own() {
    let place = Place::new();
    place.repository("shop", MAIN).folder("shop/lib");
    place.file("shop/.git/worktrees/fix/HEAD", "ref: refs/heads/fix\n");
    place.file("fix/.git", format!("gitdir: {}\n", place.path("shop/.git/worktrees/fix").display()));
    place.file("shop/.git/modules/lib/HEAD", "ref: refs/heads/stable\n");
    place.file("shop/lib/.git", "gitdir: ../.git/modules/lib\n");
    place.file("odd/.git", "gitdir: /no/such/place\n").file("bad/.git", "x");
    for (folder, expected) in
        [("fix", "fix@fix (git)"), ("shop/lib", "lib@stable (git)"), ("odd", "odd (git)"), ("bad", "bad (git)")]
    {
        assert_eq!(of(&place, folder), expected, "{folder}");
    }
}

#[test]
fn a_head_that_names_no_branch_gives_none() {
    let long = format!("ref: refs/heads/{}\n", "x".repeat(5000));
    for head in [
        "0123456789abcdef0123456789abcdef01234567\n",
        "ref: refs/heads/.invalid\n",
        "ref: refs/tags/v1\n",
        "ref: refs/heads/a b\n",
        "ref: refs/heads/\u{1b}[31m\n",
        "ref: refs/heads/../../x\n",
        "ref: refs/heads/x.lock\n",
        "ref: refs/heads/\n",
        "",
        &long,
    ] {
        let place = Place::new();
        place.repository("shop", head);
        assert_eq!(of(&place, "shop"), "shop (git)", "{head}");
    }
}

#[test]
fn links_are_not_followed_and_what_is_behind_them_stays_unknown() {
    let place = Place::new();
    place.repository("real", MAIN).folder("work").folder("head/.git").folder("outer/inner").repository("outer", MAIN);
    symlink(place.path("real/.git"), place.path("work/.git")).unwrap();
    symlink(place.path("real/.git/HEAD"), place.path("head/.git/HEAD")).unwrap();
    symlink("/dev/zero", place.path("outer/inner/.git")).unwrap();
    symlink(place.path("real"), place.path("other")).unwrap();
    place.file("far/.git", format!("gitdir: {}/link/.git\n", place.path("far").display()));
    symlink(place.path("real"), place.path("far/link")).unwrap();
    for (folder, expected) in [
        ("work", "work (git)"),
        ("head", "head (git)"),
        ("outer/inner", "inner (git)"),
        // The kernel knows where a process is, whatever way it came.
        ("other", "real@main (git)"),
        ("far", "far (git)"),
    ] {
        assert_eq!(of(&place, folder), expected, "{folder}");
    }
}

#[test]
fn files_that_are_no_files_are_not_opened() {
    let place = Place::new();
    place.folder("shop/.git").repository("outer", MAIN).folder("outer/in");
    for name in ["shop/.git/HEAD", "outer/in/.git"] {
        assert!(Command::new("mkfifo").arg(place.path(name)).status().unwrap().success());
    }
    assert_eq!(of(&place, "shop"), "shop (git)");
    assert_eq!(of(&place, "outer/in"), "outer@main (git)");
}

#[test]
fn hostile_names_are_kept_as_they_are() {
    let place = Place::new();
    place.file("a\u{202e}b\n\u{1b}[2J/package.json", "");
    let found = working_in(&place.path("a\u{202e}b\n\u{1b}[2J")).project().unwrap();
    assert_eq!(found.name, OsString::from("a\u{202e}b\n\u{1b}[2J"));
    let name = OsString::from_vec(b"\xff\xfe".to_vec());
    fs::create_dir(place.0.path().join(&name)).unwrap();
    fs::write(place.0.path().join(&name).join("go.mod"), "").unwrap();
    assert_eq!(working_in(&place.0.path().join(&name)).project().unwrap().name, name);
}

#[test]
fn a_folder_that_was_removed_is_in_no_project() {
    let place = Place::new();
    place.repository("shop", MAIN).folder("shop/gone");
    let sleeper = working_in(&place.path("shop/gone"));
    fs::remove_dir(place.path("shop/gone")).unwrap();
    assert_eq!(sleeper.project(), None);
}

#[test]
fn root_sees_no_more_than_the_user_of_the_process() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.repository("shop", MAIN).folder("shop/sub").repository("outer", MAIN).folder("outer/closed/work");
    place.file("secret/HEAD", "ref: refs/heads/secret\n");
    place.file("evil/.git", format!("gitdir: {}\n", place.path("secret").display()));
    for name in ["shop/sub", "outer/closed/work", "evil", "evil/.git"] {
        chown(place.path(name), Some(65534), Some(65534)).unwrap();
    }
    fs::set_permissions(place.path("shop/.git"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(0o700)).unwrap();
    let as_nobody = |folder: &str| {
        let mut command = Command::new("sleep");
        command.arg("1000").current_dir(place.path(folder)).uid(65534).gid(65534);
        Sleeper(command.spawn().unwrap())
    };
    // The file HEAD cannot be seen, so whether this is a repository cannot be known.
    assert_eq!(shown(as_nobody("shop/sub").project().as_ref()), "-");
    assert_eq!(shown(as_nobody("evil").project().as_ref()), "evil (git)");
    let sleeper = as_nobody("outer/closed/work");
    fs::set_permissions(place.path("outer/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(shown(sleeper.project().as_ref()), "-");
    // As root itself everything is seen.
    assert_eq!(of(&place, "shop/sub"), "shop@main (git)");
}

#[test]
fn what_a_stranger_puts_into_a_shared_folder_names_nothing() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.repository("tmp", "ref: refs/heads/evil\n").folder("tmp/work").file("tmp/package.json", "");
    for name in ["tmp/.git", "tmp/.git/HEAD", "tmp/package.json"] {
        chown(place.path(name), Some(1234), None).unwrap();
    }
    assert_eq!(of(&place, "tmp/work"), "-");
}

#[test]
fn a_container_is_searched_up_to_its_own_root() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.repository("host", MAIN).folder("host/root/app/src").folder("host/root/proc").folder("host/root/srv");
    place.file("host/root/app/package.json", "{}");
    place.file("host/root/srv/.git", "gitdir: /repositories/srv\n");
    place.file("host/root/repositories/srv/HEAD", "ref: refs/heads/inside\n");
    let root = place.path("host/root");
    let mount = format!("mount --bind {0} {0} && exec \"$@\"", root.display());
    for wrapper in [&["env"][..], &["unshare", "-m", "sh", "-c", &mount, "sh"]] {
        let inside = |folder: &str| {
            let lines = format!("chroot('{}') or die; chdir('{folder}') or die", root.display());
            shown(perl(wrapper, &lines).project().as_ref())
        };
        assert_eq!(inside("/app/src"), "app (package.json)", "{wrapper:?}");
        // The path in the file is one of the container.
        assert_eq!(inside("/srv"), "srv@inside (git)", "{wrapper:?}");
        // What is above its root is not the container's.
        assert_eq!(inside("/proc"), "-", "{wrapper:?}");
        assert_eq!(inside("/"), "-", "{wrapper:?}");
    }
}

#[test]
fn a_file_system_that_a_program_serves_is_not_asked() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.repository("dead", MAIN).folder("dead/work/.git").repository("head", MAIN).file("head/package.json", "");
    place.file("tree/.git", format!("gitdir: {}/.git/x\n", place.path("dead/work").display()));
    let mount = format!(
        "exec 5<>/dev/fuse && mount -i -t fuse -o fd=5,rootmode=40000,user_id=0,group_id=0 none {} && exec \"$@\"",
        place.path("dead/work/.git").display()
    );
    if !Command::new("sh").args(["-c", "exec 5<>/dev/fuse"]).stderr(Stdio::null()).status().unwrap().success() {
        assert!(std::env::var_os("CI").is_none(), "this needs FUSE");
        println!("skipped: there is no FUSE here");
        return;
    }
    for (folder, expected) in [("dead/work", "-"), ("tree", "tree (git)"), ("head", "head@main (git)")] {
        let lines = format!("chdir('{}') or die", place.path(folder).display());
        let sleeper = perl(&["unshare", "-m", "sh", "-c", &mount, "sh"], &lines);
        let (answer, answered) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| answer.send(shown(sleeper.project().as_ref())));
            let found = answered.recv_timeout(Duration::from_secs(20));
            // Without its server the mount answers, so that a reader which waits for it is let go.
            assert_eq!(found.as_deref(), Ok(expected), "{folder}");
        });
    }
}

#[test]
fn readers_that_wait_for_ever_are_given_up_and_the_others_are_read() {
    let own = Pid(std::process::id());
    let job = |pid| Job { pid, held: Vec::new(), wants_project: true, rights: None };
    // The reader of the first process never comes back.
    let jobs = Arc::new(vec![job(Pid(u32::MAX)), job(own)]);
    let answers = Arc::new(Answers::of(&jobs));
    let looking =
        Looking { jobs, next: Arc::new(AtomicUsize::new(1)), wants_runs: true, answers, handles: Arc::default() };
    let process = |pid| Process { pid, ..crate::testing::snapshot().processes[&Pid(700)].clone() };
    let mut processes = BTreeMap::from([(own, process(own)), (Pid(u32::MAX), process(Pid(u32::MAX)))]);
    let before = Instant::now();
    looking.finish(&mut processes);
    assert!(before.elapsed() < Duration::from_secs(20));
    assert_eq!(processes[&own].cwd, std::env::current_dir().ok());
    assert_eq!((&processes[&Pid(u32::MAX)].cwd, &processes[&Pid(u32::MAX)].project), (&None, &None));
}

#[test]
fn what_does_not_count_for_one_user_is_a_project_for_another_who_works_in_the_same_folder() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.file("app/package.json", "{}").folder("app/src").folder("none");
    chown(place.path("app/package.json"), Some(65534), None).unwrap();
    let mut folders = Folders::default();
    let mut of = |folder: &str, uid| {
        let mut sleeper = Command::new("sleep");
        let child = sleeper.arg("1000").current_dir(place.path(folder)).uid(uid).gid(uid).spawn().unwrap();
        let sleeper = Sleeper(child);
        let directory = open_process(Pid(sleeper.0.id())).unwrap();
        shown(folders.project_of(directory.as_fd(), None).as_ref())
    };
    assert_eq!(of("app/src", 0), "-", "any user may put a file into such a folder as /tmp");
    assert_eq!(of("app/src", 65534), "app (package.json)");
    assert_eq!([0, 65534].map(|uid| of("none", uid)), ["-", "-"]);
    // A folder without any name that marks a project was looked at once for all users; one with a file was not.
    assert_eq!(folders.bare.len(), 1);
}
