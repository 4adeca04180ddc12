"""Networks from recordings and pictures: ``galago train RECIPE``, whose key ``role`` says what is trained.

    toml_tables   recipes: TOML into frozen dataclasses, errors with their place
    task          what a role tells the loop: networks, losses, measures
    loop          steps, checkpoints, exact resume, log, curves, progress: the same for every role
    schedule      learning rates over a run
    checkpoints   written aside and renamed; read without running what they hold
    sources       recordings and photos from tars, JSONL manifests and folders
    plots         curves as a picture
    command       the command line that every role shares
    distill       what teachers and students of every role share
    ear           a Conformer that hears phones and letters
    eye           a Swin Transformer that names what it sees
    voice         FastSpeech, a vocoder and the teacher that they are compared with
    pretrain      networks on samples, from sound that nobody wrote down
    g2p           letters to phones, for words that no dictionary has

Everything here may load torch, so a program imports the module that it means.
"""
