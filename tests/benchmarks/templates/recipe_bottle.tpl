% rebase("recipe_bottle_layout.tpl")
    <h1>The open ToDo tasks are as follows:</h1>
    <nav aria-label="Which tasks are shown">
      % for one in ["open", "closed", "all"]:
      <a href="/todo?show={{one}}"{{!' aria-current="page"' if one == show else ""}}>{{one}}</a>
      % end
    </nav>
    <table>
      <thead>
        <tr><th scope="col">ID</th><th scope="col">Task</th><th scope="col">Status</th></tr>
      </thead>
      <tbody>
        % for id, task, status in rows:
        <tr class="{{"open" if status else "closed"}}">
          <td><a href="/edit/{{id}}" aria-label="Edit task {{id}}">{{id}}</a></td>
          <td>{{task}}</td>
          <td>{{"open" if status else "closed"}}</td>
        </tr>
        % end
      </tbody>
    </table>
    <p><a class="button" href="/new">Add a new task</a></p>
