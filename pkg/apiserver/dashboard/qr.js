// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Some dashboards have the QR code of a second factor drawn by another site, which would learn the secret. The content
// security policy stops them. This script shows the QR code that the server has drawn in the place of theirs.
(() => {
  "use strict";

  let image = "";

  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    if (new URL(url, location.href).pathname.endsWith("/auth/2fa/setup")) {
      this.addEventListener("load", () => remember(this.response));
    }
    return open.call(this, method, url, ...rest);
  };

  function remember(answer) {
    try {
      image = (typeof answer === "string" ? JSON.parse(answer) : answer).data.qrCode;
    } catch {
      image = "";
    }
  }

  // Errors of images do not bubble; they are seen on the way down.
  document.addEventListener("error", (event) => {
    const target = event.target;
    if (image && target instanceof HTMLImageElement && /otpauth(:|%3a)/i.test(target.src)) {
      target.src = image;
    }
  }, true);
})();
