document.documentElement.classList.add("live");
watchFigures();
fillNumbers();
watchRuns();
listenForExports();
document.documentElement.dataset.ready = String(Math.round(performance.now()));
