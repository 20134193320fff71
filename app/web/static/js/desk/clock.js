// How long a pair has been looked at: time that passes hidden, or 60 s after the last touch, is not
// counted, and neither are those 60 s.
const IDLE_MS = 60_000;

export class Clock {
  /** `onPause(isPaused)` is told when the clock stands still for want of a touch, and goes on. */
  constructor(onPause) {
    this.onPause = onPause;
    this.counted = 0;
    this.since = null;
    this.touched = performance.now();
    this.isIdle = false;
    for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "touchstart", "scroll"]) {
      addEventListener(kind, () => this.touch(), { passive: true, capture: true });
    }
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.touch()));
    setInterval(() => this.lookForIdle(), 1000);
  }

  /** Begin a pair, with what was counted for it before. */
  begin(seconds = 0) {
    this.counted = seconds * 1000;
    this.touched = performance.now();
    this.since = document.hidden ? null : this.touched;
    this.isOn = true;
    this.setIdle(false);
  }

  end() {
    this.stop();
    this.isOn = false;
    this.setIdle(false);
  }

  get seconds() {
    const running = this.since === null ? 0 : performance.now() - this.since;
    return Math.round((this.counted + running) / 100) / 10;
  }

  touch() {
    this.lookForIdle();
    this.touched = performance.now();
    if (this.isOn && this.since === null && !document.hidden) this.since = this.touched;
    this.setIdle(false);
  }

  stop(at = performance.now()) {
    if (this.since === null) return;
    this.counted += Math.max(0, at - this.since);
    this.since = null;
  }

  lookForIdle() {
    if (this.since === null || performance.now() - this.touched < IDLE_MS) return;
    this.stop(this.touched);
    this.setIdle(true);
  }

  setIdle(isIdle) {
    if (isIdle === this.isIdle) return;
    this.isIdle = isIdle;
    this.onPause(isIdle);
  }
}
