// Search over the index that stands in the page, and the contents on a small screen. Nothing is ever fetched.
(() => {
  const MOST = 12;
  const { pages, sections } = JSON.parse(document.getElementById("index").textContent);
  const box = document.querySelector(".search");
  const input = box.querySelector("input");
  const list = document.getElementById("found");
  const said = box.querySelector(".said");
  const menu = document.querySelector(".menu");
  const contents = document.getElementById("contents");
  document.documentElement.classList.add("scripted");
  box.hidden = menu.hidden = false;

  const plain = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
  const entries = sections.map(([page, id, title, text]) => ({
    page, title, text, address: pages[page][0] + (id ? "#" + encodeURIComponent(id) : ""),
    heading: plain(title), whole: plain(pages[page][1]), words: plain(text),
  }));

  function rank(entry, terms) {
    let score = 0;
    for (const term of terms) {
      const n = entry.words.split(term).length - 1;
      if (!n && !entry.heading.includes(term) && !entry.whole.includes(term)) return 0;
      score += 20 * entry.heading.includes(term) + 5 * entry.whole.includes(term) + Math.log1p(n);
    }
    return score;
  }

  function marked(text, terms) {
    const pattern = new RegExp(`(${terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "i");
    return text.split(pattern).map((part, k) => {
      if (k % 2 === 0) return part;
      const mark = document.createElement("mark");
      mark.textContent = part;
      return mark;
    });
  }

  function snippet(entry, terms) {
    const places = terms.map((term) => entry.words.indexOf(term)).filter((place) => place >= 0);
    const start = places.length ? Math.max(0, entry.text.lastIndexOf(" ", Math.min(...places) - 40) + 1) : 0;
    const end = entry.text.length > start + 150 ? entry.text.lastIndexOf(" ", start + 150) : entry.text.length;
    return (start ? "… " : "") + entry.text.slice(start, end) + (end < entry.text.length ? " …" : "");
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(option) {
    for (const other of list.children) other.setAttribute("aria-selected", String(other === option));
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  function show() {
    const terms = plain(input.value).split(/\s+/).filter(Boolean);
    if (!terms.length) {
      said.textContent = "";
      return close();
    }
    const ranked = entries.map((entry) => [rank(entry, terms), entry]).filter(([score]) => score > 0);
    const best = ranked.sort((a, b) => b[0] - a[0]).slice(0, MOST).map(([, entry]) => entry);
    list.replaceChildren(...best.map((entry, k) => {
      const option = document.createElement("li");
      const link = document.createElement("a");
      const title = document.createElement("strong");
      const where = document.createElement("small");
      Object.assign(option, { id: `found-${k}`, role: "option" });
      Object.assign(link, { href: entry.address, tabIndex: -1 });
      title.append(...marked(entry.title, terms));
      where.textContent = pages[entry.page][1];
      link.append(title, where, ...marked(snippet(entry, terms), terms));
      option.append(link);
      return option;
    }));
    if (!best.length) {
      const none = document.createElement("li");
      none.textContent = "Nothing found. Try a shorter word.";
      none.className = "none";
      list.append(none);
    }
    said.textContent = best.length ? `${best.length} sections found` : "Nothing found";
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    if (best.length) choose(list.firstElementChild);
  }

  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  input.addEventListener("keydown", (event) => {
    const options = [...list.querySelectorAll("[role=option]")];
    const chosen = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") {
      close();
    } else if (list.hidden || !options.length) {
      return;
    } else if (event.key === "ArrowDown") {
      choose(options[(chosen + 1) % options.length]);
    } else if (event.key === "ArrowUp") {
      choose(options[(chosen + options.length - 1) % options.length]);
    } else if (event.key === "Enter") {
      options[chosen].querySelector("a").click();
    } else {
      return;
    }
    event.preventDefault();
  });
  list.addEventListener("click", close);
  document.addEventListener("click", (event) => box.contains(event.target) || close());
  box.addEventListener("focusout", (event) => box.contains(event.relatedTarget) || close());
  document.addEventListener("keydown", (event) => {
    const isTyped = event.target.matches("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || isTyped || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
    input.select();
  });

  function unfold(isOpen) {
    contents.classList.toggle("open", isOpen);
    menu.setAttribute("aria-expanded", String(isOpen));
  }
  menu.addEventListener("click", () => unfold(!contents.classList.contains("open")));
  contents.addEventListener("click", (event) => event.target.closest("a") && unfold(false));

  // Mark in the contents the section that is being read.
  const links = new Map([...contents.querySelectorAll("ol ol a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const headings = [...document.querySelectorAll("main h2[id]")].filter((heading) => links.has(heading.id));
  function follow() {
    const read = headings.filter((heading) => heading.getBoundingClientRect().top < 0.3 * innerHeight).pop();
    for (const [id, link] of links) {
      if (read && id === read.id) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  }
  addEventListener("scroll", follow, { passive: true });
  follow();
})();
