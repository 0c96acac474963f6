#include <string>

#include "cmd/kezek/complete.h"

namespace kezek::cli {
namespace {

// Readline replaces only what follows the last word break, so the part before it is taken off.
constexpr const char* kBash =
    R"(# bash completion of kezek. To have it: source <(kezek completion bash)
_kezek() {
  local line word head reply program
  local -a words
  line=${COMP_LINE:0:COMP_POINT}
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  word=${words[-1]}
  head=${word%"${word##*[=@:]}"}
  program=${words[0]/#\~/$HOME}
  COMPREPLY=()
  while IFS=$'\t' read -r reply _; do
    if [[ $reply == :files ]]; then
      compopt -o default 2>/dev/null
    else
      COMPREPLY+=("${reply#"$head"}")
    fi
  done < <("$program" __complete "${words[@]:1}" 2>/dev/null)
}
complete -o nosort -F _kezek kezek
)";

constexpr const char* kZsh = R"(#compdef kezek
# zsh completion of kezek. To have it: source <(kezek completion zsh), after compinit
_kezek() {
  local -a lines described
  local line
  lines=("${(@f)$("$words[1]" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    if [[ $line == :files ]]; then
      _files
      return
    fi
    if [[ $line == *$'\t'* ]]; then
      described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    else
      described+=("${line//:/\\:}")
    fi
  done
  (( $#described )) && _describe -V kezek described
}
if [[ $funcstack[1] == _kezek ]]; then
  _kezek "$@"
else
  compdef _kezek kezek
fi
)";

constexpr const char* kFish =
    R"(# fish completion of kezek. To have it: kezek completion fish | source
function __kezek_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    set -l word (commandline -ct)
    for line in ($program __complete $words "$word" 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path "$word"
        else
            echo $line
        end
    end
end
complete -c kezek -f -k -a '(__kezek_complete)'
)";

}  // namespace

Result<std::string> CompletionScript(const std::string& shell) {
  if (shell == "bash") return std::string(kBash);
  if (shell == "zsh") return std::string(kZsh);
  if (shell == "fish") return std::string(kFish);
  return Error{Code::kInvalidArgument, "'" + shell + "' is not bash, zsh or fish", {}};
}

}  // namespace kezek::cli
