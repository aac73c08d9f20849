// The page is whole without this script; it only shows one frontier at a time.
(function () {
  var chooser = document.getElementById("frontier-choice");
  if (!chooser) return;
  var panels = Array.prototype.slice.call(document.querySelectorAll("[data-frontier]"));
  function show() {
    panels.forEach(function (panel, index) { panel.hidden = String(index) !== chooser.value; });
  }
  chooser.closest("p").hidden = false;
  chooser.addEventListener("change", show);
  show();
})();
