// The decoder for phones whose browser cannot read codes itself; loaded only there.
import jsQR from "jsqr";

window.fleetQr = jsQR;
