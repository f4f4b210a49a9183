const form = document.getElementById("messageForm");
const message = document.getElementById("message");
const said = document.getElementById("history");
const state = document.getElementById("state");
const scheme = location.protocol === "https:" ? "wss" : "ws";
const socket = new WebSocket(`${scheme}://${location.host}/echo`);

function tell(text) {
  said.append(`${text}\n`);
  said.scrollTop = said.scrollHeight;
}

socket.onopen = () => { state.textContent = "Connected."; };
socket.onclose = () => { state.textContent = "Disconnected: load the page again."; };
socket.onmessage = event => tell(`Received: ${event.data}`);

form.addEventListener("submit", event => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.send(message.value);
  tell(`Sent: ${message.value}`);
  message.value = "";
});
