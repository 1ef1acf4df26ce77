"use strict";
(() => {
  // Without this script the page is whole; it adds the copying, and opens what is folded where print styles cannot.
  const said = document.getElementById("said");

  const byCommand = (text) => {
    const box = document.createElement("textarea");
    box.value = text;
    box.readOnly = true;
    box.className = "unseen";
    document.body.append(box);
    box.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      done = false;
    }
    box.remove();
    return done;
  };

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return byCommand(text); // a page that is no secure context has no clipboard
    }
  };

  let quiet = 0;
  const tell = (text) => {
    said.textContent = text;
    clearTimeout(quiet);
    quiet = setTimeout(() => (said.textContent = ""), 2000); // or the next time would not be read aloud
  };

  for (const button of document.querySelectorAll("button.copy")) {
    const label = button.firstElementChild;
    const before = label.textContent;
    const code = button.parentElement.querySelector("code");
    let timer = 0;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copied(code.textContent);
      button.focus();
      if (done) {
        label.textContent = said.dataset.copied;
      } else {
        getSelection().selectAllChildren(code);
      }
      tell(done ? said.dataset.copied : said.dataset.failed);
      clearTimeout(timer);
      timer = setTimeout(() => (label.textContent = before), 2000);
    });
  }

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
    folded = [];
  });
})();
