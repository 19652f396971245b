"""The scripts of `bakehouse completion SHELL`: each has its shell ask `bakehouse --complete` for candidates, and else offers files."""

from __future__ import annotations

from types import MappingProxyType

_BASH = r"""# eval "$(bakehouse completion bash)"   in ~/.bashrc
_bakehouse() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("$1" --complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" "=$2" 2>/dev/null)
}
complete -o default -o bashdefault -F _bakehouse bakehouse
"""
_ZSH = r"""#compdef bakehouse
# eval "$(bakehouse completion zsh)"   in ~/.zshrc, after compinit
_bakehouse() {
    local line
    local -a found
    while IFS= read -r line; do
        found+=("${line%%$'\t'*}${${(M)line:#*$'\t'*}:+:${line#*$'\t'}}")
    done < <("${words[1]}" --complete "${(@)words[2,CURRENT-1]}" "=${words[CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then
        _describe bakehouse found
    else
        _files
    fi
}
compdef _bakehouse bakehouse
"""
_FISH = r"""# bakehouse completion fish > ~/.config/fish/completions/bakehouse.fish
function __bakehouse_complete
    set -l words (commandline -opc)
    set -l found ($words[1] --complete $words[2..-1] "="(commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c bakehouse -f -a '(__bakehouse_complete)'
"""
_POWERSHELL = r"""# bakehouse completion powershell | Out-String | Invoke-Expression   in $PROFILE
Register-ArgumentCompleter -Native -CommandName bakehouse -ScriptBlock {
    param($last, $line, $cursor)
    $words = @($line.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { $_.ToString() })
    $before = @($words | Select-Object -Skip 1)
    & $words[0] --complete @before "=$last" 2>$null | ForEach-Object {
        $name, $text = $_ -split "`t", 2
        if (-not $text) { $text = $name }
        [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $text)
    }
}
"""
SCRIPTS: MappingProxyType[str, str] = MappingProxyType({"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL})
