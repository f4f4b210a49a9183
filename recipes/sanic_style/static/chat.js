// A room of the chat: /chat.html?room=kitchen. What comes in is shown as text, never as HTML.
const room = new URLSearchParams(location.search).get("room") || "lobby";
const [log, status, form] = ["log", "status", "form"].map((id) => document.getElementById(id));
const [nameField, messageField] = form.querySelectorAll("input");
const button = form.querySelector("button");
document.getElementById("room").textContent = room;

const address = new URL(`/chat/${encodeURIComponent(room)}`, location.href);
address.protocol = address.protocol.replace("http", "ws");
let socket;

function connect() {
  socket = new WebSocket(address, "worker");
  socket.addEventListener("message", tellWorker, { once: true });
  socket.addEventListener("close", () => {
    button.disabled = true;
    status.textContent = "The connection is lost. Trying again …";
    setTimeout(connect, 1000);
  });
}

function tellWorker({ data }) { // "worker 4711": the process that this page is connected to
  status.textContent = `Connected to ${data}.`;
  status.dataset.worker = data.replace("worker ", "");
  button.disabled = false;
  socket.addEventListener("message", ({ data }) => show(data));
}

function show(data) {
  const item = document.createElement("p");
  const { name, message } = understood(data);
  const who = document.createElement("b");
  who.textContent = name;
  item.append(who, ` ${message}`);
  log.append(item);
  if (log.children.length > 200) log.firstElementChild.remove();
  item.scrollIntoView({ block: "nearest" });
}

function understood(data) { // others may say what they like in a room
  try {
    const { name, message } = JSON.parse(data);
    if (typeof name === "string" && typeof message === "string") return { name, message };
  } catch {}
  return { name: "Somebody", message: String(data) };
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ name: nameField.value, message: messageField.value }));
  messageField.value = "";
  messageField.focus();
});

connect();
