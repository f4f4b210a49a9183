// What the public specification of the Todo-Backend API checks, in our own words: 16 checks of the
// API whose root is the query of this page. `results` has the name of each, and what went wrong.

const root = location.search.slice(1);
const checks = [];

function check(name, run) {
  checks.push([name, run]);
}

function same(found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
}

async function ask(method, url, data) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(url, { method, headers, body: data && JSON.stringify(data) });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status}`);
  return answer;
}

const data = async (...question) => (await ask(...question)).json();
const list = () => data("GET", root);
const add = (members) => data("POST", root, { title: "a todo", ...members });

check("the root answers a page of another origin", async () => {
  await ask("GET", root);
});

check("the root answers a POST with what was posted", async () => {
  same((await add({ title: "posted" })).title, "posted");
});

check("the root takes a DELETE", async () => {
  await ask("DELETE", root);
});

check("after that the list is empty", async () => {
  await add();
  await ask("DELETE", root);
  same(await list(), []);
});

check("a new todo is in the list", async () => {
  await add({ title: "listed" });
  same((await list()).map((todo) => todo.title), ["listed"]);
});

check("a new todo is not completed", async () => {
  same([(await add()).completed, (await list())[0].completed], [false, false]);
});

check("a new todo has a URL", async () => {
  const { url } = await add();
  same([typeof url, (await list())[0].url], ["string", url]);
});

check("the URL of a new todo leads to it", async () => {
  const { url } = await add({ title: "found" });
  same((await data("GET", url)).title, "found");
});

check("the URLs of the list lead to todos", async () => {
  await Promise.all([add({ title: "one" }), add({ title: "two" })]);
  const todos = await list();
  same(todos.length, 2);
  same(await data("GET", todos[0].url), todos[0]);
});

check("a title is changed", async () => {
  const { url } = await add({ title: "before" });
  same((await data("PATCH", url, { title: "after" })).title, "after");
});

check("a todo is completed", async () => {
  const { url } = await add();
  same((await data("PATCH", url, { completed: true })).completed, true);
});

check("changes last, in the todo and in the list", async () => {
  const { url } = await add();
  await data("PATCH", url, { title: "changed", completed: true });
  const shown = [await data("GET", url), ...(await list())];
  same(shown.map((todo) => [todo.title, todo.completed]), Array(2).fill(["changed", true]));
});

check("a todo is removed", async () => {
  await ask("DELETE", (await add()).url);
  same(await list(), []);
});

check("a todo is added with an order", async () => {
  same((await add({ order: 523 })).order, 523);
});

check("an order is changed", async () => {
  const { url } = await add({ order: 10 });
  same((await data("PATCH", url, { order: 95 })).order, 95);
});

check("a changed order lasts", async () => {
  const { url } = await add({ order: 10 });
  await data("PATCH", url, { order: 95 });
  same((await data("GET", url)).order, 95);
});

async function run() {
  const results = [];
  for (const [name, one] of checks) {
    await ask("DELETE", root);
    results.push([name, await one().then(() => "", String)]);
  }
  return results;
}

globalThis.results = run();
