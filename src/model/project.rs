//! Which project a process belongs to, by the folder that it works in.

use std::ffi::OsString;
use std::path::PathBuf;

/// A project: a folder with a repository or a manifest, or a service of Compose. Users who may write there choose the
/// names, so it is a claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Project {
    /// The folder's own name; for Compose `PROJECT/SERVICE`.
    pub name: OsString,
    /// The branch that is checked out there; absent where none is, or where it cannot be read.
    pub branch: Option<OsString>,
    /// The folder, as the process sees it; absent for Compose.
    pub folder: Option<PathBuf>,
    /// What marks the folder as a project.
    pub source: ProjectSource,
}

/// What marks a project.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProjectSource {
    /// `.git`: a repository, or a file that leads to one (worktrees, submodules).
    Git,
    /// A manifest of this name.
    Manifest(&'static str),
    /// The labels that Compose gives to containers, as the container's runtime reports them.
    Compose,
}

impl ProjectSource {
    /// The files that mark a project, beside `.git`.
    pub const MANIFESTS: [&str; 9] = [
        "package.json",
        "Cargo.toml",
        "pyproject.toml",
        "go.mod",
        "pom.xml",
        "build.gradle",
        "Gemfile",
        "composer.json",
        "mix.exs",
    ];

    /// The name in JSON: `git`, `compose`, or that of the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            ProjectSource::Git => "git",
            ProjectSource::Manifest(name) => name,
            ProjectSource::Compose => "compose",
        }
    }

    /// The source that has the name in JSON.
    pub fn named(name: &str) -> Option<ProjectSource> {
        let manifests = ProjectSource::MANIFESTS.into_iter().map(ProjectSource::Manifest);
        [ProjectSource::Git, ProjectSource::Compose].into_iter().chain(manifests).find(|source| source.name() == name)
    }
}
