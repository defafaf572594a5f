# SPDX-License-Identifier: BSL-1.0
"""One code, two worlds: the core (floors 0 to 4) asks for time, threads, randomness and waits only
through its policies, so that a whole cluster runs under a virtual clock, one seed one run."""

import re

import tree

RULES = [
    # what, pattern, the headers that are the policy itself
    ("reads a clock", r"\b(steady|system|high_resolution|utc|file)_clock\s*(::|\{\s*\}\s*\.)\s*now"
                      r"|\bclock_gettime\b|\bgettimeofday\b"
                      r"|(?<![\w.:>])time\s*\(\s*(NULL|nullptr|0|&)",
     {"policies/clock.hpp", "policies/thread_pool.hpp", "policies/ticking_clock.hpp"}),
    ("sleeps", r"\bsleep(_for|_until)?\s*\(|\busleep\b|\bnanosleep\b|\bthis_thread::yield\b",
     set()),
    ("starts a thread", r"\bstd::(jthread|thread|async)\b|\bpthread_create\b",
     {"policies/thread_pool.hpp", "policies/ticking_clock.hpp"}),
    ("draws a random number", r"\bs?rand(om)?\s*\(\s*\)|\brandom_device\b|\bmt19937|\bgetrandom\b"
                              r"|\bgetentropy\b|/dev/u?random|\bdefault_random_engine\b",
     {"policies/random.hpp"}),
    ("waits by itself", r"\bcondition_variable|\bstd::(latch|barrier|\w*semaphore)\b"
                        r"|\bstd::(future|promise)\b",
     {"policies/executor.hpp", "policies/thread_pool.hpp", "policies/ticking_clock.hpp",
      "testing/manual_executor.hpp"}),
    ("is ordered by address", r"\bunordered_(multi)?(map|set)\s*<[^,<>]*\*"
                              r"|\bstd::hash\s*<[^<>]*\*\s*>"
                              r"|\bstd::(map|set)\s*<[^,<>]*\*",
     set()),
]


def code(text):
    """The text without comments and string literals, line numbers kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda m: "\n" * m.group().count("\n"), text)


def main():
    report = tree.Report("purity of the core")
    for header in tree.headers():
        if (tree.floor(header) or 0) > 4:
            continue
        lines = code(tree.header_text(header)).splitlines()
        for what, pattern, but in RULES:
            if header in but:
                continue
            hits = [n for n, line in enumerate(lines, 1)
                    if re.search(pattern, line) and not re.match(r"\s*#\s*include", line)]
            report.check(not hits, f"{header}:{hits}: {what}; that is a policy's work")
    report.close()


if __name__ == "__main__":
    main()
