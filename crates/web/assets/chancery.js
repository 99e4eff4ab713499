// What a script adds to pages that work without it. Every behaviour hangs on a data attribute and is told here.
"use strict";
(() => {
  const FRAGMENT = { "X-Chancery-Fragment": "1" };
  // What a page asks for by itself does not keep a session alive.
  const POLL = { "X-Chancery-Fragment": "poll" };

  // data-time: a point of time in the reader's own zone; UTC stays in the title.
  const zoned = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const showTimes = (root) => {
    for (const it of root.querySelectorAll("time[data-time]")) {
      const at = new Date(it.dateTime);
      if (!Number.isNaN(at.getTime())) it.textContent = zoned.format(at);
    }
  };

  // data-scripted: of use only with a script, so hidden until there is one.
  const showScripted = (root) => {
    for (const it of root.querySelectorAll("[data-scripted]")) it.hidden = false;
  };

  // data-copy="id": copies the text of that element.
  const enableCopies = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });

  // data-file-into="id": reads a chosen file into that text field; with data-encoding="base64" its octets in base64.
  const base64 = (file) => new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
  document.addEventListener("change", async (event) => {
    const input = event.target.closest("input[type=file][data-file-into]");
    const target = input && document.getElementById(input.dataset.fileInto);
    if (!target || !input.files[0]) return;
    target.value = await (input.dataset.encoding === "base64" ? base64(input.files[0]) : input.files[0].text());
    target.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // data-check-all="name": ticks every box of that name in the form.
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-check-all]");
    if (!all) return;
    for (const box of all.form.querySelectorAll(`input[type=checkbox][name="${all.dataset.checkAll}"]`)) box.checked = all.checked;
  });

  // data-submit-on-change: a form whose choice takes effect at once.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit-on-change]");
    if (form && !event.target.matches("[data-quiet]")) form.requestSubmit();
  });

  // data-add-row="template id" data-into="list id": one more row of a repeated part. data-remove-row: this row less.
  let addedRows = 0;
  document.addEventListener("click", (event) => {
    const add = event.target.closest("[data-add-row]");
    if (add) {
      event.preventDefault();
      const row = document.getElementById(add.dataset.addRow).content.cloneNode(true);
      // Labels find their fields by id, so each added row has its own: "…-new" becomes "…-new1".
      addedRows += 1;
      for (const it of row.querySelectorAll("[id$='-new']")) it.id += addedRows;
      for (const it of row.querySelectorAll("[for$='-new']")) it.htmlFor += addedRows;
      const list = document.getElementById(add.dataset.into);
      list.append(row);
      const first = list.lastElementChild.querySelector("input, select, textarea");
      if (first) first.focus();
      return;
    }
    const remove = event.target.closest("[data-remove-row]");
    if (remove) {
      event.preventDefault();
      const form = remove.form ?? remove.closest("form");
      remove.closest("[data-row]").remove();
      if (form) form.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });

  // data-press="button id": choosing a value presses that button, which is there for browsers without a script.
  document.addEventListener("change", (event) => {
    const button = event.target.dataset.press && document.getElementById(event.target.dataset.press);
    if (button) button.form.requestSubmit(button);
  });
  const enablePresses = (root) => {
    for (const it of root.querySelectorAll("[data-press]")) {
      const button = document.getElementById(it.dataset.press);
      if (button) button.hidden = true;
    }
  };

  // data-live="address": while the form is filled in, what the server says of it is shown in data-live-into="id".
  // A GET form also keeps its address in the address bar.
  const ask = async (form, running) => {
    const target = document.getElementById(form.dataset.liveInto);
    if (!target) return;
    if (running.abort) running.abort.abort();
    running.abort = new AbortController();
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string" && (form.method === "post" || value !== "")) fields.append(name, value);
    target.setAttribute("aria-busy", "true");
    try {
      const isPost = form.method === "post";
      const address = form.dataset.live || form.action;
      const answer = isPost
        ? await fetch(address, { method: "POST", body: fields, headers: FRAGMENT, signal: running.abort.signal })
        : await fetch(`${address.split("?")[0]}?${fields}`, { headers: FRAGMENT, signal: running.abort.signal });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok && answer.status !== 422) throw new Error(String(answer.status));
      target.innerHTML = await answer.text();
      if (!isPost) history.replaceState(null, "", `${form.action.split("?")[0]}?${fields}`);
      ready(target);
    } catch (error) {
      if (error.name === "AbortError") return;
      target.innerHTML = '<p class="notice bad">The server did not answer. What you typed is still here; try again.</p>';
    }
    target.removeAttribute("aria-busy");
  };
  const enableLive = (root) => {
    for (const form of root.querySelectorAll("form[data-live-into]")) {
      if (form.dataset.liveReady) continue;
      form.dataset.liveReady = "1";
      const running = { abort: null, timer: 0 };
      const later = (event) => {
        if (event.target.matches("[data-quiet]")) return;
        clearTimeout(running.timer);
        running.timer = setTimeout(() => ask(form, running), 180);
      };
      form.addEventListener("input", later);
      if (form.hasAttribute("data-live-now")) ask(form, running);
    }
  };

  // data-poll="address" data-every="seconds": shown anew until what comes back no longer asks for it.
  const enablePolls = (root) => {
    const all = [...root.querySelectorAll("[data-poll]")];
    if (root.matches && root.matches("[data-poll]")) all.push(root);
    for (const part of all) {
      setTimeout(async () => {
        if (!part.isConnected) return;
        try {
          const answer = await fetch(part.dataset.poll, { headers: POLL });
          if (answer.status === 401) { location.reload(); return; }
          const holder = document.createElement("template");
          holder.innerHTML = await answer.text();
          const fresh = holder.content.firstElementChild;
          if (answer.ok && fresh) { part.replaceWith(fresh); ready(fresh); return; }
        } catch { /* the server may be restarting: asked again below */ }
        enablePolls(part);
      }, 1000 * (Number(part.dataset.every) || 2));
    }
  };

  // data-shows="field=value …": shown only while the field of the form has one of the values.
  const showParts = (form) => {
    for (const part of form.querySelectorAll("[data-shows]")) {
      const [name, values] = part.dataset.shows.split("=");
      const field = form.elements[name];
      const value = field && (field.type === "checkbox" ? (field.checked ? "on" : "off") : field.value);
      const visible = values.split(" ").includes(value ?? "");
      part.hidden = !visible;
      for (const it of part.querySelectorAll("input, select, textarea")) it.disabled = !visible;
    }
  };
  const enableShows = (root) => {
    for (const part of root.querySelectorAll("form [data-shows]")) {
      const form = part.closest("form");
      if (form.dataset.showsReady) continue;
      form.dataset.showsReady = "1";
      form.addEventListener("change", () => showParts(form));
      showParts(form);
    }
  };

  const ready = (root) => {
    showTimes(root);
    showScripted(root);
    enableCopies(root);
    enableLive(root);
    enablePolls(root);
    enableShows(root);
    enablePresses(root);
  };

  ready(document);
  const focus = document.querySelector("[data-focus]");
  if (focus) focus.focus();
  // data-submit: a form that only carries a link on.
  const once = document.querySelector("form[data-submit]");
  if (once) once.requestSubmit();
  // A form is sent once: its button rests until the answer is there; data-busy="words" on it says what goes on meanwhile.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("data-download")) return;
    const pressed = event.submitter;
    setTimeout(() => {
      for (const it of form.querySelectorAll("button:not([type=button])")) it.disabled = true;
      if (pressed && pressed.dataset.busy) { pressed.dataset.label = pressed.textContent; pressed.textContent = pressed.dataset.busy; }
    }, 0);
  });
  addEventListener("pageshow", () => {
    for (const it of document.querySelectorAll("form button[disabled]")) {
      it.disabled = false;
      if (it.dataset.label) { it.textContent = it.dataset.label; delete it.dataset.label; }
    }
  });
})();
