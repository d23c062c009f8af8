# Turns Debian's package catalogue (deb822: "Field: value", continuation lines begin with a blank, records end with an empty
# line) into two files, a line per package each:
#
#   rows      ndjson with the fields of the first release's schema
#   details   name, version, architecture, source, homepage, depends, multi-arch, sha256, tags, separated by tabs
#
# awk -v rows=FILE -v details=FILE -f catalogue.awk INPUT; prints the number of packages. A package without a version is
# known to dpkg but not installed, and is left out.

function quote(text) {
  gsub(/["\\]/, "\\\\&", text)
  gsub(/\n/, "\\n", text)
  gsub(/\t/, "\\t", text)
  gsub(/[\001-\037]/, " ", text)
  return "\"" text "\""
}

# The priorities of Debian's policy. What some vendors write instead, or nothing, counts as optional.
function policy(priority) {
  return priority ~ /^(required|important|standard|optional|extra)$/ ? priority : "optional"
}

function plain(text) {
  gsub(/[\t\n]+ */, " ", text)
  return text
}

function member(name, text) { return text == "" ? "" : "," quote(name) ":" quote(text) }
function number(name, text) { return text == "" ? "" : "," quote(name) ":" (text + 0) }

function finish() {
  if (field["version"] != "") {
    print "{" substr(member("name", field["package"]) member("version", field["version"]) \
      member("architecture", field["architecture"]) member("section", field["section"]) \
      member("priority", policy(field["priority"])) member("maintainer", field["maintainer"]) \
      number("installedSize", field["installed-size"]) number("size", field["size"]) \
      member("description", field["description"]), 2) "}" > rows
    print field["package"] "\t" field["version"] "\t" field["architecture"] "\t" plain(field["source"]) "\t" \
      plain(field["homepage"]) "\t" plain(field["depends"]) "\t" field["multi-arch"] "\t" field["sha256"] "\t" \
      plain(field["tag"]) > details
    ++count
  }
  split("", field)
}

/^[^ \t:]+:/ {
  colon = index($0, ":")
  name = tolower(substr($0, 1, colon - 1))
  value = substr($0, colon + 1)
  sub(/^[ \t]+/, "", value)
  field[name] = value
  next
}
/^[ \t]/ {
  line = substr($0, 2)
  field[name] = field[name] "\n" (line == "." ? "" : line)
  next
}
/^$/ { finish() }
END {
  finish()
  print count + 0
}
