#!/bin/sh
# Stands in for Claude Code: it says again whatever it was given, in every way that Claude can.
given=$(cat)
while test $# -gt 0; do
  case "$1" in
    --add-dir) given="$given $(cat "$2"/* 2>/dev/null)" ;;
    --append-system-prompt-file) given="$given $(cat "$2")" ;;
  esac
  shift
done
said=$(printf %s "$given" | tr -cd 'A-Za-z0-9 .:#-' | tail -c 6000)
echo fixed > fixed.txt
id=00000000-0000-0000-0000-000000000001
mkdir -p "$CLAUDE_CONFIG_DIR/projects/here"
echo "$said" | tee "$CLAUDE_CONFIG_DIR/projects/here/$id.jsonl" >&2
cat <<END
{"type":"assistant","message":{"content":[{"type":"text","text":"$said"},{"type":"tool_use","id":"t","name":"Grep","input":{"pattern":"$said"}},{"type":"tool_use","id":"u","name":"TodoWrite","input":{"todos":[{"content":"$said","status":"in_progress","activeForm":"x"}]}}]}}
{"type":"result","subtype":"success","is_error":false,"result":"Title: $said\\n\\n$said","num_turns":1,"total_cost_usd":0.01,"session_id":"$id"}
END
