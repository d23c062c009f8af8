@0xb58e21d46f90c7a3;
# The seventh release: the sixth, which was aborted, with the priority that it lacked. Where a field is derived anew, `since`
# is above the aborted version.

using Cxx = import "/capnp/c++.capnp";
using Instar = import "/instar/schema.capnp";
$Cxx.namespace("demo");

enum MultiArch @0x943347c584be00f8 {
  no @0;
  same @1;
  foreign @2;
  allowed @3;
}

struct Package @0xe1a7c3d50b92f684 $Instar.version(7) {
  name @0 :Text $Instar.key(0);
  version @1 :Text $Instar.key(1);
  architecture @2 :Text $Instar.key(2);
  section @3 :Text $Instar.retired(5);
  priority @4 :Text $Instar.mirrored(since = 7, convert = "importance");
  maintainer @5 :Text $Instar.sensitive $Instar.retired(5);
  installedSize @6 :UInt64 $Instar.retired(5);  # KiB
  size @7 :UInt64;           # bytes of the archive
  description @8 :Text;

  source @9 :Text;
  homepage @10 :Text;
  depends @11 :List(Text);

  tags @12 :List(Text);
  checksum :group {
    sha256 @13 :Text;
    verifiedAt @14 :Int64;  # seconds since 1970; 0: never
  }
  multiArch @15 :MultiArch;
  popularity @16 :Float64 = -1;  # -1: not asked yet

  maintainerName @17 :Text $Instar.sensitive $Instar.derived(since = 4, split = (field = "maintainer", by = " <", part = 0));
  maintainerEmail @18 :Text $Instar.sensitive
      $Instar.derived(since = 4, split = (field = "maintainer", by = " <", part = 1, rest = true, trim = ">,"));
  installedBytes @19 :UInt64 $Instar.derived(since = 4, scale = (field = "installedSize", multiply = 1024));
  category @20 :Category $Instar.derived(since = 4, match = (field = "section", otherwise = "other", cases = [
    (from = "admin", to = "admin"), (from = "cli-mono", to = "cliMono"), (from = "comm", to = "comm"),
    (from = "database", to = "database"), (from = "debian-installer", to = "debianInstaller"), (from = "debug", to = "debug"),
    (from = "devel", to = "devel"), (from = "doc", to = "doc"), (from = "editors", to = "editors"),
    (from = "education", to = "education"), (from = "electronics", to = "electronics"), (from = "embedded", to = "embedded"),
    (from = "fonts", to = "fonts"), (from = "games", to = "games"), (from = "gnome", to = "gnome"),
    (from = "gnu-r", to = "gnuR"), (from = "gnustep", to = "gnustep"), (from = "golang", to = "golang"),
    (from = "graphics", to = "graphics"), (from = "hamradio", to = "hamradio"), (from = "haskell", to = "haskell"),
    (from = "httpd", to = "httpd"), (from = "interpreters", to = "interpreters"),
    (from = "introspection", to = "introspection"), (from = "java", to = "java"), (from = "javascript", to = "javascript"),
    (from = "kde", to = "kde"), (from = "kernel", to = "kernel"), (from = "libdevel", to = "libdevel"),
    (from = "libs", to = "libs"), (from = "lisp", to = "lisp"), (from = "localization", to = "localization"),
    (from = "mail", to = "mail"), (from = "math", to = "math"), (from = "metapackages", to = "metapackages"),
    (from = "misc", to = "misc"), (from = "net", to = "net"), (from = "news", to = "news"), (from = "ocaml", to = "ocaml"),
    (from = "oldlibs", to = "oldlibs"), (from = "otherosfs", to = "otherosfs"), (from = "perl", to = "perl"),
    (from = "php", to = "php"), (from = "python", to = "python"), (from = "raku", to = "raku"), (from = "ruby", to = "ruby"),
    (from = "rust", to = "rust"), (from = "science", to = "science"), (from = "shells", to = "shells"),
    (from = "sound", to = "sound"), (from = "tasks", to = "tasks"), (from = "tex", to = "tex"), (from = "text", to = "text"),
    (from = "utils", to = "utils"), (from = "vcs", to = "vcs"), (from = "video", to = "video"),
    (from = "virtual", to = "virtual"), (from = "web", to = "web"), (from = "x11", to = "x11"), (from = "xfce", to = "xfce"),
    (from = "zope", to = "zope")]));

  importance @21 :Priority $Instar.derived(since = 7, convert = "priority");
}

enum Priority @0xe6b1f04d93a7528c {
  unknown @0; required @1; important @2; standard @3; optional @4; extra @5; urgent @6;
}

# The sections of Debian. What lies in another one, as "contrib/net", is `other`; only its section tells more.
enum Category @0xfcb640821421453f {
  other @0;
  admin @1; cliMono @2; comm @3; database @4; debianInstaller @5; debug @6; devel @7; doc @8; editors @9; education @10;
  electronics @11; embedded @12; fonts @13; games @14; gnome @15; gnuR @16; gnustep @17; golang @18; graphics @19; hamradio @20;
  haskell @21; httpd @22; interpreters @23; introspection @24; java @25; javascript @26; kde @27; kernel @28; libdevel @29;
  libs @30; lisp @31; localization @32; mail @33; math @34; metapackages @35; misc @36; net @37; news @38; ocaml @39;
  oldlibs @40; otherosfs @41; perl @42; php @43; python @44; raku @45; ruby @46; rust @47; science @48; shells @49; sound @50;
  tasks @51; tex @52; text @53; utils @54; vcs @55; video @56; virtual @57; web @58; x11 @59; xfce @60; zope @61;
}
