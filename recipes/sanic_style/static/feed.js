// Answer each message of /feed a second later, and list what comes.
const address = new URL("/feed", location.href);
address.protocol = address.protocol.replace("http", "ws");
const socket = new WebSocket(address);
const log = document.getElementById("log");

socket.addEventListener("message", ({ data }) => {
  const item = document.createElement("p");
  item.textContent = data;
  log.append(item);
  if (log.children.length > 20) log.firstElementChild.remove();
  setTimeout(() => socket.send("And you?"), 1000);
});
