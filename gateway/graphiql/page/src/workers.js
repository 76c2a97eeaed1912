// Monaco's workers, bundled and served by us. build.mjs puts their file names in place of WORKERS.
/* global WORKERS */
globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    return new Worker(new URL(WORKERS[label] ?? WORKERS.editor, import.meta.url));
  },
};
