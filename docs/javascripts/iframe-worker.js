// Search from a folder. A browser starts no worker for a page that was opened as a file; there, the search's script runs in
// a hidden frame instead. (The site's theme would load such a script from another server; nothing here does.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.ready = new Promise((resolve, reject) => {
        document.addEventListener("DOMContentLoaded", () => this.start(url, resolve, reject), { once: true })
        if (document.readyState !== "loading") this.start(url, resolve, reject)
      })
    }

    start(url, resolve, reject) {
      if (this.frame.isConnected) return
      document.body.append(this.frame)
      const inside = this.frame.contentWindow
      const load = (source) =>
        new Promise((loaded, failed) => {
          const script = inside.document.createElement("script")
          Object.assign(script, { src: source, onload: loaded, onerror: failed })
          inside.document.body.append(script)
        })
      // What a worker's script calls: postMessage reaches the page, importScripts can be awaited.
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve())
      load(url).then(resolve, reject)
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
