# The formula of a tap: brew install portscope/tap/portscope
class Portscope < Formula
  desc "Inspector of the ports in use on a host"
  homepage "https://github.com/portscope/portscope"
  url "https://github.com/portscope/portscope/archive/refs/tags/v0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000" # of this release; see docs/releasing.md
  license any_of: ["MIT", "Apache-2.0"]
  head "https://github.com/portscope/portscope.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    man1.mkpath
    system bin/"portscope", "man", "--all", man1
    generate_completions_from_executable(bin/"portscope", "completions")
  end

  test do
    assert_match "portscope #{version}", shell_output("#{bin}/portscope --version")
    assert_match "SSH Remote Login Protocol", shell_output("#{bin}/portscope services ssh")
  end
end
