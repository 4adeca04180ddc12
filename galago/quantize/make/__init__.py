"""``galago make RECIPE``: from data to an accepted bundle, each step once until something changes.

    corpora ──► train … train ──► quantize ──► measure ──► pack ──► report.html
    decoded     stages, each from  int8, one    what each    all roles in
    once        the one before     role each    stage lost   one bundle

    recipe       the make recipe: what is trained, packed and accepted
    trainings    what a training recipe needs: data, and the runs that it goes on from
    inputs       everything that a make recipe names, checked before work begins
    plan         its steps
    content      SHA-256 of files and values, remembered as long as a file is not touched
    state        what was made of what, in one file that a kill cannot tear
    runner       does what is not up to date, a process a step, and tells how long it will take
    child        the process of a step, which does not outlive the one that waits for it
    work         what has no command of its own: decoding a corpus, measuring a stage
    measures     numbers of a stage by name, for acceptance and for the report
    acceptance   "wer <= 0.5"
    assemble     bundles of single roles into one
    report       the page; charts draws, pictures shows what went wrong

Training and packing are the commands that they are without it. Loads torch where a step does, and where the
recipes are checked.
"""
