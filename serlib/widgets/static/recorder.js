// Record a sentence with the Web Audio API, and hand it to the kernel as 16-bit mono PCM with its sample rate.

const TAP = `registerProcessor("serlib-tap", class extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage(input[0].slice());
    return true;
  }
});`;
const INSTEAD = "You can upload a recording instead.";
const INSECURE =
  "Recording needs a secure page: open this one by https, or on the computer that serves it by http://localhost. ";
const REFUSALS = {
  NotAllowedError:
    "The microphone may not be used. Allow it beside the address of this page, and press Record again. ",
  NotFoundError: "No microphone was found. Connect one, and press Record again. ",
  NotReadableError: "The microphone cannot be read; another program may be using it. ",
};
const FLOOR_DB = -60; // where the level meter begins
const LOUD_DB = -1; // where it says so
const RAW = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** Call `hear` with each block of samples of a stream: from an AudioWorklet, else from a ScriptProcessor. */
async function tap(context, stream, hear) {
  const source = context.createMediaStreamSource(stream);
  let node;
  try {
    const address = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
    await context.audioWorklet.addModule(address).finally(() => URL.revokeObjectURL(address));
    node = new AudioWorkletNode(context, "serlib-tap", { channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => hear(data);
  } catch {
    node = context.createScriptProcessor(4096, 1, 1);
    node.onaudioprocess = ({ inputBuffer }) => hear(inputBuffer.getChannelData(0).slice());
  }
  source.connect(node).connect(context.destination); // silent: nothing is written to its output
}

/** Join blocks of samples in [-1, 1] into `n` 16-bit integers. */
function toInt16(blocks, n) {
  const pcm = new Int16Array(n);
  let filled = 0;
  for (const block of blocks) {
    for (const sample of block.subarray(0, n - filled)) {
      pcm[filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
    }
  }
  return pcm;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function render({ model, el }) {
  const longest = model.get("max_duration_s");
  el.classList.add("serlib-recorder");
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "recorder");
  el.innerHTML = `
    <button type="button"><span class="serlib-mark" aria-hidden="true"></span><span class="serlib-name"></span></button>
    <span class="serlib-time" role="timer" aria-label="length of the recording"></span>
    <div class="serlib-meter" role="meter" aria-label="level" aria-valuemin="${FLOOR_DB}" aria-valuemax="0"
      ><div class="serlib-level"></div></div>
    <p class="serlib-status" role="status"></p>`;
  const part = (name) => el.querySelector(name);
  const [button, name, time] = [part("button"), part(".serlib-name"), part(".serlib-time")];
  const [meter, level, status] = [part(".serlib-meter"), part(".serlib-level"), part(".serlib-status")];

  const say = (text) => (status.textContent = text);
  const show = (state, label) => {
    el.dataset.state = state;
    name.textContent = label;
    button.disabled = state === "asking" || state === "off";
  };
  const showTime = (seconds) => (time.textContent = `${clock(seconds)} / ${clock(longest)}`);
  const showLevel = (db) => {
    const shown = Math.max(FLOOR_DB, db);
    level.style.transform = `scaleX(${1 - shown / FLOOR_DB})`;
    meter.classList.toggle("serlib-loud", db > LOUD_DB);
    meter.setAttribute("aria-valuenow", Math.round(shown));
    meter.setAttribute("aria-valuetext", db > LOUD_DB ? "too loud" : `${Math.round(shown)} decibel`);
  };

  let recording = null; // stream, context, blocks, n, most
  const close = () => {
    recording?.stream.getTracks().forEach((track) => track.stop());
    recording?.context?.close();
    recording = null;
    showLevel(FLOOR_DB);
    show("idle", "Record");
  };

  const hear = (block) => {
    if (!recording) return;
    recording.blocks.push(block);
    recording.n += block.length;
    const peak = block.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    recording.peak = Math.max(peak, 0.97 * recording.peak); // falls slowly, so that the eye can follow
    showLevel(20 * Math.log10(recording.peak || 1e-9));
    showTime(recording.n / recording.context.sampleRate);
    if (recording.n >= recording.most) stop(`The limit of ${longest} s is reached. `);
  };

  const start = async () => {
    show("asking", "Record");
    say("Waiting for the microphone: the browser may ask you to allow it.");
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: RAW });
      recording = { stream, blocks: [], n: 0, peak: 0 };
      const context = (recording.context = new AudioContext());
      recording.most = Math.floor(Math.min(longest * context.sampleRate, model.get("max_bytes") / 2));
      await tap(context, stream, hear);
      show("recording", "Stop");
      say("Recording: say one sentence, then press Stop.");
      button.focus();
    } catch (error) {
      close();
      button.focus();
      say((REFUSALS[error.name] ?? `Recording failed (${error.message}). `) + INSTEAD);
    }
  };

  const stop = (why = "") => {
    const { blocks, n, most, context } = recording;
    const rate = context.sampleRate;
    close();
    if (!n) return say("Nothing was heard from the microphone; press Record and try again. " + INSTEAD);
    const pcm = toInt16(blocks, Math.min(n, most));
    model.send({ sample_rate_hz: rate }, undefined, [pcm.buffer]);
    say(`${why}Recorded ${(pcm.length / rate).toFixed(1)} s; the answer is below.`);
  };

  button.addEventListener("click", () => (recording ? stop() : start()));
  showTime(0);
  close();
  if (window.isSecureContext && navigator.mediaDevices) {
    say("Press Record and say one sentence. It goes to this page's kernel only, and is not stored.");
  } else {
    show("off", "Record");
    say(INSECURE + INSTEAD);
  }
  return close;
}

export default { render };
