@0xc1b0a4d2e3f5968a;
# A record without key fields: its keys are byte strings.

struct Setting @0xe0c4a1b2d3e5968a {
  value @0 :Text;
}
