// A picture that has alt text: the bytes of a PNG file, shown as they come.

function render({ model, el }) {
  const image = document.createElement("img");
  el.classList.add("serlib-picture");
  el.append(image);

  function show() {
    const png = model.get("png");
    el.hidden = png.byteLength === 0;
    image.alt = model.get("alt");
    if (el.hidden) return;
    const before = image.src;
    image.src = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    image.onload = () => before && URL.revokeObjectURL(before);
  }

  function click({ clientX, clientY }) {
    const { left, top, width, height } = image.getBoundingClientRect();
    if (model.get("is_clickable")) model.send({ clicked_at: [(clientX - left) / width, (clientY - top) / height] });
  }

  model.on("change:png", show);
  model.on("change:alt", show);
  image.addEventListener("click", click);
  image.classList.toggle("clickable", model.get("is_clickable"));
  show();
  return () => {
    model.off("change:png", show);
    model.off("change:alt", show);
    URL.revokeObjectURL(image.src);
  };
}

export default { render };
